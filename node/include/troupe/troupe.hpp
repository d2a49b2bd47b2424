#pragma once
// Everything a program needs. Each header also stands alone.
#include <troupe/application.hpp>
#include <troupe/blocking.hpp>
#include <troupe/call.hpp>
#include <troupe/catalogue.hpp>
#include <troupe/cluster.hpp>
#include <troupe/config.hpp>
#include <troupe/handle.hpp>
#include <troupe/node.hpp>
#include <troupe/rpc.hpp>
#include <troupe/run.hpp>
#include <troupe/server.hpp>
#include <troupe/spawn.hpp>
#include <troupe/supervisor.hpp>
