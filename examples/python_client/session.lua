rpc.call("clerk@localhost", "clerk.add", {1, 2})
server.call({"clerk", "clerk@localhost"}, {"push", {number = 5}})
send({"clerk", "clerk@localhost"}, "hello")
