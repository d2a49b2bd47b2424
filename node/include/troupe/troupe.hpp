#pragma once
// Everything a program needs. Each header also stands alone. Those in which programs meet a static_assert come first:
// the compiler then writes their sentence behind one line of files, not behind five.
#include <troupe/fields.hpp>
#include <troupe/handlers.hpp>
#include <troupe/message.hpp>

#include <troupe/application.hpp>
#include <troupe/blocking.hpp>
#include <troupe/call.hpp>
#include <troupe/catalogue.hpp>
#include <troupe/cluster.hpp>
#include <troupe/config.hpp>
#include <troupe/global.hpp>
#include <troupe/group.hpp>
#include <troupe/handle.hpp>
#include <troupe/keyed_registry.hpp>
#include <troupe/lock.hpp>
#include <troupe/multi_call.hpp>
#include <troupe/node.hpp>
#include <troupe/program.hpp>
#include <troupe/rpc.hpp>
#include <troupe/run.hpp>
#include <troupe/server.hpp>
#include <troupe/spawn.hpp>
#include <troupe/supervisor.hpp>
#include <troupe/task_stream.hpp>
