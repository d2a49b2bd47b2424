%% The same work as local_bench.cpp, the way OTP's own programs do it: `erl -eval "local:main(Line, Scale)"`.
-module(local).
-export([main/2, echo/0, ring_member/1, sink/2, waiting_sink/2, nothing/0, idle/0, busy/0,
         init/1, handle_call/3, handle_cast/2]).

%% In a fresh process, whose heap has not grown.
main(Line, Scale) ->
    {Pid, Ref} = spawn_monitor(fun() -> measure(Line, Scale) end),
    receive {'DOWN', Ref, process, Pid, normal} -> halt(0, [{flush, true}]);
            {'DOWN', Ref, process, Pid, Why} -> io:format(standard_error, "~p~n", [Why]), halt(1)
    end.

now_ns() -> erlang:monotonic_time(nanosecond).
timed(Work) -> Start = now_ns(), Work(), now_ns() - Start.
emit(Name, Value, Unit) -> io:format("~s ~.3f ~s~n", [Name, Value * 1.0, Unit]).
scaled(Scale, Full) -> max(1, round(Full * Scale)).
repeat(0, _) -> ok;
repeat(N, Work) -> Work(), repeat(N - 1, Work).
until(Test) -> case Test() of true -> ok; false -> erlang:yield(), until(Test) end.
percentiles(Name, Samples) ->
    Sorted = lists:sort(Samples),
    At = fun(P) -> lists:nth(ceil(length(Sorted) * P), Sorted) / 1000 end,
    emit([atom_to_list(Name), "_p50"], At(0.50), "us"),
    emit([atom_to_list(Name), "_p99"], At(0.99), "us").

echo() -> receive {ball, From} -> From ! {ball, self()}, echo() end.
bounce(_, 0) -> ok;
bounce(Pid, N) -> Pid ! {ball, self()}, receive {ball, _} -> bounce(Pid, N - 1) end.
ring_member(Next) -> receive token -> Next ! token, ring_member(Next) end.
ring(_, 0) -> ok;
ring(First, Laps) -> First ! token, receive token -> ring(First, Laps - 1) end.
sink(0, Parent) -> Parent ! drained;
sink(N, Parent) -> receive {hi, _} -> sink(N - 1, Parent) end.
waiting_sink(N, Parent) -> receive go -> sink(N, Parent) end.
blast(_, _, 0) -> ok;
blast(Pid, Message, N) -> Pid ! Message, blast(Pid, Message, N - 1).
sends(Line, Scale, Senders) ->
    Each = scaled(Scale, 1000000 div Senders),
    Pid = spawn(?MODULE, sink, [Senders * Each, self()]),
    Ns = timed(fun() ->
        [spawn(fun() -> blast(Pid, {hi, 42}, Each) end) || _ <- lists:seq(1, Senders)],
        receive drained -> ok end
    end),
    emit(Line, Senders * Each * 1.0e9 / Ns, "msgs/s").

init(_) -> {ok, []}.
handle_call(ping, _, State) -> {reply, 1, State}.
handle_cast(_, State) -> {noreply, State}.
calls(Line, Scale) ->
    {ok, Server} = gen_server:start(?MODULE, [], []),
    N = scaled(Scale, 300000),
    Ns = timed(fun() -> call(Server, N) end),
    emit(Line, N * 1.0e9 / Ns, "calls/s").
call(_, 0) -> ok;
call(Server, N) -> 1 = gen_server:call(Server, ping), call(Server, N - 1).
fill() -> [self() ! {hi, I} || I <- lists:seq(1, 10000)].

nothing() -> ok.
spawns(0) -> ok;
spawns(N) -> spawn(?MODULE, nothing, []), spawns(N - 1).
idle() -> receive _ -> ok end.
idles(0) -> ok;
idles(N) -> spawn(?MODULE, idle, []), idles(N - 1).
some(N, Function) -> [spawn(?MODULE, Function, []) || _ <- lists:seq(1, N)].
resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = string:split(Text, " ", all),
    binary_to_integer(Pages) * 4096.

busy() -> busy(0).
busy(N) -> busy(N + 1).

traced_rate(N, Traced) ->
    Self = self(),
    Pid = spawn(?MODULE, waiting_sink, [N, Self]),
    Traced andalso begin
        Tracer = spawn(fun() -> tracer(N + 1, Self) end),    % the "go" is one more
        1 = erlang:trace(Pid, true, ['receive', {tracer, Tracer}])
    end,
    Pid ! go,
    Ns = timed(fun() ->
        spawn(fun() -> blast(Pid, {hi, 42}, N) end),
        repeat(if Traced -> 2; true -> 1 end, fun() -> receive drained -> ok end end)
    end),
    N * 1.0e9 / Ns.
tracer(0, Parent) -> Parent ! drained;
tracer(N, Parent) -> receive {trace, _, 'receive', _} -> tracer(N - 1, Parent) end.

measure(local_pingpong = Line, Scale) ->
    Pid = spawn(?MODULE, echo, []),
    N = scaled(Scale, 500000),
    emit(Line, N * 1.0e9 / timed(fun() -> bounce(Pid, N) end), "roundtrips/s");
measure(local_ring = Line, Scale) ->
    Laps = scaled(Scale, 1000),
    First = lists:foldl(fun(_, Next) -> spawn(?MODULE, ring_member, [Next]) end, self(), lists:seq(2, 1000)),
    emit(Line, Laps * 1000 * 1.0e9 / timed(fun() -> ring(First, Laps) end), "hops/s");
measure(local_send_1to1 = Line, Scale) -> sends(Line, Scale, 1);
measure(local_send_100to1 = Line, Scale) -> sends(Line, Scale, 100);
measure(local_call = Line, Scale) -> calls(Line, Scale);
measure(call_among_10k = Line, Scale) -> fill(), calls(Line, Scale);
measure(selective_10k = Line, Scale) ->
    Pid = spawn(?MODULE, echo, []),
    fill(),
    N = scaled(Scale, 10000),
    emit(Line, N * 1.0e9 / timed(fun() -> bounce(Pid, N) end), "receives/s");
measure(spawn_exit = Line, Scale) ->
    N = scaled(Scale, 300000),
    Before = erlang:system_info(process_count),
    Ns = timed(fun() -> spawns(N), until(fun() -> erlang:system_info(process_count) =< Before end) end),
    emit(Line, N * 1.0e9 / Ns, "spawns/s");
measure(idle_processes, Scale) ->
    N = scaled(Scale, 1000000),
    Before = resident(),
    Ns = timed(fun() -> idles(N) end),
    emit(idle_process_spawn, N * 1.0e9 / Ns, "spawns/s"),
    emit(idle_process_bytes, (resident() - Before) / N, "bytes");
measure(monitors_10k = Line, Scale) ->
    N = scaled(Scale, 10000),
    Self = self(),
    Took = [begin
        All = some(N, idle),
        spawn(fun() ->
            [monitor(process, Pid) || Pid <- All],
            Self ! go,
            repeat(N, fun() -> receive {'DOWN', _, _, _, _} -> ok end end),
            Self ! drained
        end),
        receive go -> ok end,
        timed(fun() -> [Pid ! go || Pid <- All], receive drained -> ok end end)
    end || _ <- lists:seq(1, 20)],
    emit(Line, 20 * N * 1.0e9 / lists:sum(Took), "downs/s");
measure(links_10k = Line, Scale) ->
    N = scaled(Scale, 10000),
    Self = self(),
    Took = [begin
        Before = erlang:system_info(process_count),
        All = some(N, idle),
        One = spawn(fun() -> [link(Pid) || Pid <- All], Self ! go, receive go -> exit(enough) end end),
        receive go -> ok end,
        timed(fun() -> One ! go, until(fun() -> erlang:system_info(process_count) =< Before end) end)
    end || _ <- lists:seq(1, 20)],
    emit(Line, 20 * N * 1.0e9 / lists:sum(Took), "exits/s");
measure(timers_10k = Line, Scale) ->
    N = scaled(Scale, 10000),
    Rounds = scaled(Scale, 1000000),
    Running = list_to_tuple([erlang:send_after(3600000, self(), {hi, I}) || I <- lists:seq(1, N)]),
    Ns = timed(fun() -> set_and_cancel(Running, N, Rounds) end),
    emit(Line, Rounds * 1.0e9 / Ns, "timers/s"),
    Late = fun() ->
        Delay = 100 + rand:uniform(1000) - 1,
        erlang:send_after(Delay, self(), {late, now_ns() + Delay * 1000000})
    end,
    repeat(N, Late),
    percentiles(timers_late, [receive {late, Due} -> now_ns() - Due end || _ <- lists:seq(1, N)]);
measure(fairness = Line, Scale) ->
    Quick = list_to_tuple(some(1000, echo)),
    spawn(?MODULE, busy, []),
    percentiles(Line, [timed(fun() -> bounce(element(I rem 1000 + 1, Quick), 1) end)
                       || I <- lists:seq(1, scaled(Scale, 5000))]);
measure(traced, Scale) ->
    N = scaled(Scale, 300000),
    traced_rate(N, false),
    Plain = traced_rate(N, false),
    Traced = traced_rate(N, true),
    emit(untraced_receive, Plain, "msgs/s"),
    emit(traced_receive, Traced, "msgs/s"),
    emit(traced_share, 100 * Traced / Plain, "%").

%% The oldest is cancelled for each that is set; a tuple of a few is as cheap to walk as it gets.
set_and_cancel(_, _, 0) -> ok;
set_and_cancel(Running, N, Rounds) when N > Rounds -> set_and_cancel(Running, Rounds, Rounds);
set_and_cancel(Running, N, Rounds) ->
    Next = list_to_tuple([begin
        erlang:cancel_timer(element(I, Running), [{async, true}, {info, false}]),
        erlang:send_after(3600000 + I rem 1000, self(), {hi, I})
    end || I <- lists:seq(1, N)]),
    set_and_cancel(Next, N, Rounds - N).
