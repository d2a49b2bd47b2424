#include <troupe/run.hpp>

#include "todo.hpp"

int main(int argc, char** argv) { return troupe::run(argc, argv, todo::program()); }
