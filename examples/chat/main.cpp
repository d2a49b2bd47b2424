#include <troupe/run.hpp>

#include "chat.hpp"

int main(int argc, char** argv) { return troupe::run(argc, argv, chat::program()); }
