%% The same work as local_bench.cpp, the way OTP's own programs do it.
-module(local).
-export([main/1, server/1, returner/0]).

main([Scale]) ->
    Rounds = list_to_integer(Scale) * 100000,
    run(fun() -> pingpong(Rounds) end, "local_pingpong", "roundtrips/s"),
    run(fun() -> calls(Rounds) end, "local_server_call", "calls/s"),
    run(fun() -> spawns(Rounds) end, "spawn_exit", "spawns/s"),
    halt().

run(Work, Name, Unit) ->
    Self = self(),
    spawn(fun() -> Self ! {rate, Work()} end),
    receive {rate, Rate} -> io:format("~s ~w ~s~n", [Name, round(Rate), Unit]) end.

rate(Count, Start) -> Count * 1.0e9 / (erlang:monotonic_time(nanosecond) - Start).

returner() -> receive {ball, From} -> From ! {ball, self()}, returner(); done -> ok end.
pingpong(N) ->
    Peer = spawn(?MODULE, returner, []),
    Start = erlang:monotonic_time(nanosecond),
    ping(Peer, N),
    Rate = rate(N, Start),
    Peer ! done,
    Rate.
ping(_, 0) -> ok;
ping(Peer, N) -> Peer ! {ball, self()}, receive {ball, _} -> ping(Peer, N - 1) end.

%% gen_server:call without gen_server's own dispatch: monitor, alias, send, wait; what gen:call does.
server(Total) ->
    receive
        {'$gen_call', From, {add, N}} -> gen:reply(From, Total + N), server(Total + N);
        done -> ok
    end.
calls(N) ->
    Peer = spawn(?MODULE, server, [0]),
    Start = erlang:monotonic_time(nanosecond),
    call(Peer, N),
    Rate = rate(N, Start),
    Peer ! done,
    Rate.
call(_, 0) -> ok;
call(Peer, N) -> gen_server:call(Peer, {add, 1}), call(Peer, N - 1).

spawns(N) ->
    Start = erlang:monotonic_time(nanosecond),
    spawn_some(N),
    rate(N, Start).
spawn_some(N) when N =< 0 -> ok;
spawn_some(N) ->
    [spawn(fun() -> ok end) || _ <- lists:seq(1, 99)],
    {_, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, _, _, _} -> spawn_some(N - 100) end.
