%% The same work as remote_bench.cpp, the way OTP's own programs do it: `erl -eval "remote:main(Line, Scale)"`.
-module(remote).
-export([main/2]).
%% On the other nodes:
-export([echo/0, sink/2, up/1, serve/0, init/1, handle_call/3, handle_cast/2]).

main(Line, Scale) ->
    Nodes = [peer() || _ <- lists:seq(1, case Line of remote_20_peers -> 20; _ -> 1 end)],
    measure(Line, Scale, hd(Nodes), Nodes),
    halt().

peer() ->
    {ok, _, Node} = peer:start(#{
        name => peer:random_name(), host => "127.0.0.1", longnames => true,
        args => ["-setcookie", atom_to_list(erlang:get_cookie()), "-pa", filename:dirname(code:which(?MODULE)),
                 "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]}),
    Node.

now_ns() -> erlang:monotonic_time(nanosecond).
timed(Work) -> Start = now_ns(), Work(), now_ns() - Start.
emit(Name, Value, Unit) -> io:format("~s ~.3f ~s~n", [Name, Value * 1.0, Unit]).
scaled(Scale, Full) -> max(1, round(Full * Scale)).
percentiles(Name, Samples) ->
    Sorted = lists:sort(Samples),
    At = fun(P) -> lists:nth(ceil(length(Sorted) * P), Sorted) / 1000 end,
    emit([atom_to_list(Name), "_p50"], At(0.50), "us"),
    emit([atom_to_list(Name), "_p99"], At(0.99), "us").

%% ---- what the other nodes offer
echo() -> receive {ball, From} -> From ! {ball, self()}, echo() end.
sink(0, Parent) -> Parent ! drained;
sink(N, Parent) -> receive {hi, _} -> sink(N - 1, Parent) end.
up(Parent) -> Parent ! up.
serve() -> {ok, Pid} = gen_server:start(?MODULE, [], []), Pid.
init(_) -> {ok, []}.
handle_call(ping, _, State) -> {reply, 1, State}.
handle_cast(_, State) -> {noreply, State}.

%% ---- what is measured
bounce(Pid) -> Pid ! {ball, self()}, receive {ball, _} -> ok end.
latency(Line, Scale, Work) ->
    [Work() || _ <- lists:seq(1, scaled(Scale, 500))],
    percentiles(Line, [timed(Work) || _ <- lists:seq(1, scaled(Scale, 5000))]).

blast(_, _, 0) -> ok;
blast(Pid, Message, N) -> Pid ! Message, blast(Pid, Message, N - 1).
sends(Line, Scale, Node, Size, Full) ->
    Message = {hi, binary:copy(<<7>>, Size)},
    N = scaled(Scale, Full),
    Send = fun(Count) ->
        Pid = spawn(Node, ?MODULE, sink, [Count, self()]),
        timed(fun() -> blast(Pid, Message, Count), receive drained -> ok end end)
    end,
    Send(10),
    Ns = Send(N),
    if Size < 100000 -> emit(Line, N * 1.0e9 / Ns, "msgs/s");
       true -> emit(Line, N * Size * 1.0e3 / Ns, "MB/s")
    end.

%% Each in a process of its own, all at once.
at_once(Line, Unit, Processes, Each, Work) ->
    Ns = timed(fun() ->
        Refs = [element(2, spawn_monitor(fun() -> repeat(Each, Work) end)) || _ <- lists:seq(1, Processes)],
        [receive {'DOWN', Ref, _, _, normal} -> ok end || Ref <- Refs]
    end),
    emit(Line, Processes * Each * 1.0e9 / Ns, Unit).
repeat(0, _) -> ok;
repeat(N, Work) -> Work(), repeat(N - 1, Work).
callers(Line, Scale, Node, Processes) ->
    Server = erpc:call(Node, ?MODULE, serve, []),
    at_once(Line, "calls/s", Processes, scaled(Scale, 60000) div Processes + 1,
            fun() -> 1 = gen_server:call(Server, ping, 60000) end).
rpc_callers(Line, Scale, Node, Processes) ->
    at_once(Line, "calls/s", Processes, scaled(Scale, 60000) div Processes + 1,
            fun() -> 1 = erpc:call(Node, erlang, abs, [-1]) end).

measure(remote_pingpong = Line, Scale, Node, _) ->
    Pid = spawn(Node, ?MODULE, echo, []),
    latency(Line, Scale, fun() -> bounce(Pid) end);
measure(remote_call = Line, Scale, Node, _) ->
    Server = erpc:call(Node, ?MODULE, serve, []),
    latency(Line, Scale, fun() -> 1 = gen_server:call(Server, ping) end);
measure(remote_send_32 = Line, Scale, Node, _) -> sends(Line, Scale, Node, 32, 300000);
measure(remote_send_1k = Line, Scale, Node, _) -> sends(Line, Scale, Node, 1024, 100000);
measure(remote_send_1m = Line, Scale, Node, _) -> sends(Line, Scale, Node, 1024 * 1024, 1000);
measure(remote_calls_64 = Line, Scale, Node, _) -> callers(Line, Scale, Node, 64);
measure(remote_calls_1000 = Line, Scale, Node, _) -> callers(Line, Scale, Node, 1000);
measure(remote_rpc_64 = Line, Scale, Node, _) -> rpc_callers(Line, Scale, Node, 64);
measure(remote_rpc_1000 = Line, Scale, Node, _) -> rpc_callers(Line, Scale, Node, 1000);
measure(remote_spawn = Line, Scale, Node, _) ->
    N = scaled(Scale, 30000),
    Self = self(),
    Ns = timed(fun() ->
        repeat(N, fun() -> erlang:spawn_request(Node, ?MODULE, up, [Self], [{reply, no}]) end),
        repeat(N, fun() -> receive up -> ok end end)
    end),
    emit(Line, N * 1.0e9 / Ns, "spawns/s");
measure(remote_spawn_1000 = Line, Scale, Node, _) ->
    at_once(Line, "spawns/s", 1000, scaled(Scale, 30000) div 1000 + 1,
            fun() -> spawn(Node, ?MODULE, sink, [0, self()]) end);
%% The shell stamps the moment just before its built-in kill.
measure(kill_to_down = Line, Scale, First, _) ->
    Once = fun(Node) ->
        OsPid = erpc:call(Node, os, getpid, []),
        Pid = spawn(Node, ?MODULE, echo, []),
        Ref = monitor(process, Pid),
        bounce(Pid),
        Shell = open_port({spawn_executable, "/bin/bash"},
            [{args, ["-c", "echo up; read x; echo $EPOCHREALTIME; kill -9 " ++ OsPid]}, {line, 80}]),
        receive {Shell, {data, {eol, "up"}}} -> ok end,
        port_command(Shell, "go\n"),
        receive {'DOWN', Ref, process, Pid, noconnection} -> ok end,
        End = os:system_time(microsecond),
        Start = receive {Shell, {data, {eol, Stamp}}} -> list_to_integer([C || C <- Stamp, C =/= $.]) end,
        emit(Line, (End - Start) / 1000, "ms")
    end,
    [Once(Node) || Node <- [First | [peer() || _ <- lists:seq(2, scaled(Scale, 5))]]];
measure(remote_20_peers = Line, Scale, _, Nodes) ->
    Self = self(),
    Each = scaled(Scale, 2000),
    Echoes = [spawn(Node, ?MODULE, echo, []) || Node <- Nodes],
    Ns = timed(fun() ->
        [spawn(fun() -> repeat(Each, fun() -> bounce(Pid) end), Self ! drained end) || Pid <- Echoes],
        [receive drained -> ok end || _ <- Echoes]
    end),
    emit(Line, length(Nodes) * Each * 1.0e9 / Ns, "roundtrips/s");
measure(remote_ping_under_load = Line, Scale, Node, _) ->
    N = scaled(Scale, 1000),
    Echo = spawn(Node, ?MODULE, echo, []),
    Sink = spawn(Node, ?MODULE, sink, [N, self()]),
    bounce(Echo),
    Message = {hi, binary:copy(<<7>>, 1024 * 1024)},
    spawn(fun() -> blast(Sink, Message, N) end),
    percentiles(Line, pings(Echo)).

pings(Echo) ->
    Took = timed(fun() -> bounce(Echo) end),
    [Took | receive drained -> [] after 0 -> pings(Echo) end].
