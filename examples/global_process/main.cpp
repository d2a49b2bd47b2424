#include <troupe/run.hpp>

#include "tree.hpp"

int main(int argc, char** argv) { return troupe::run(argc, argv, global_process::program()); }
