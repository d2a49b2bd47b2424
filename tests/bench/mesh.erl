%% The same as mesh_bench.cpp: a node of a mesh, led through its standard input.
-module(mesh).
-export([main/1]).

main(_Count) ->
    io:format("ready~n"),
    ["connect", First, Peers] = string:lexemes(io:get_line(""), " \n"),
    meet(list_to_atom(First ++ "@127.0.0.1"), list_to_integer(Peers)),
    io:format("meshed~n"),
    _ = io:get_line(""),
    halt(0).

%% The first has the others come; global makes the mesh full.
meet(First, Peers) ->
    First =:= node() orelse net_kernel:connect_node(First),
    wait(Peers).
wait(Peers) ->
    ok = net_kernel:monitor_nodes(true),
    seen(Peers).
seen(Peers) ->
    case length(nodes()) >= Peers of
        true -> ok;
        false -> receive {nodeup, _} -> seen(Peers) end
    end.
