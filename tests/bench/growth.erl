%% The same work as growth_bench.cpp: what an operation costs in a node that holds much.
-module(growth).
-export([main/2]).
-export([echo/0, idle/0]).

main(growth_processes, Scale) -> processes(Scale, [], [1000, 10000, 100000, 1000000]), halt();
main(growth_names, Scale) -> names(Scale, 0, [100, 1000, 10000, 100000]), halt().

echo() -> receive {ball, From} -> From ! {ball, self()}, echo() end.
idle() -> receive stop -> ok end.
scaled(Scale, Full) -> max(1, round(Full * Scale)).
timed(Work) -> Start = erlang:monotonic_time(nanosecond), Work(), erlang:monotonic_time(nanosecond) - Start.
told(What, Size, Ns, Count) -> io:format("~s_at_~b ~.3f ns~n", [What, Size, Ns / Count]).
repeat(0, _) -> ok;
repeat(N, Work) -> Work(), repeat(N - 1, Work).
bounce(Pid) -> Pid ! {ball, self()}, receive {ball, _} -> ok end.

%% Every one of them is spoken to in turn, in an order that no cache foresees.
processes(_, _, []) -> ok;
processes(Scale, Before, [Size | More]) ->
    All = [spawn(?MODULE, echo, []) || _ <- lists:seq(length(Before) + 1, scaled(Scale, Size))] ++ Before,
    Count = scaled(Scale, 300000),
    One = hd(All),
    told(pingpong, Size, timed(fun() -> repeat(Count, fun() -> bounce(One) end) end), Count),
    Table = list_to_tuple(All),
    Order = [element(rand:uniform(tuple_size(Table)), Table) || _ <- lists:seq(1, Count)],
    told(pingpong_any, Size, timed(fun() -> lists:foreach(fun bounce/1, Order) end), Count),
    told(spawn_exit, Size, timed(fun() -> repeat(Count, fun() -> spawn(fun() -> ok end) end) end), Count),
    processes(Scale, All, More).

names(_, _, []) -> ok;
names(Scale, There, [Size | More]) ->
    Wanted = scaled(Scale, Size),
    [register(name(I), spawn(?MODULE, idle, [])) || I <- lists:seq(There + 1, Wanted)],
    Names = list_to_tuple([name(I) || I <- lists:seq(1, Wanted)]),
    Count = scaled(Scale, 300000),
    Order = [element(rand:uniform(Wanted), Names) || _ <- lists:seq(1, Count)],
    told(whereis, Size, timed(fun() -> lists:foreach(fun(Name) -> true = is_pid(whereis(Name)) end, Order) end), Count),
    told(register_unregister, Size, timed(fun() ->
        repeat(Count, fun() -> register(mine, self()), unregister(mine) end)
    end), Count),
    names(Scale, Wanted, More).
name(I) -> list_to_atom("growth_name_" ++ integer_to_list(I)).
