%% The same work as names_bench.cpp, the way OTP's own programs do it: `erl -eval "names:main(Line, Scale)"`.
-module(names).
-export([main/2]).
%% On the other nodes:
-export([watch/1, hold/3, idle/0, count_names/2]).

main(Line, Scale) ->
    Count = case Line of names_20 -> 20; names_5 -> 5; _ -> 2 end,
    Others = [peer() || _ <- lists:seq(2, Count)],
    [true = net_kernel:connect_node(Node) || Node <- Others],
    meet(Count),
    measure(Line, Scale, Others),
    halt().

peer() ->
    {ok, _, Node} = peer:start(#{  % over stdio: one that depends on the distribution ends when this node leaves
        name => peer:random_name(), host => "127.0.0.1", longnames => true, connection => standard_io,
        args => ["-setcookie", atom_to_list(erlang:get_cookie()), "-pa", filename:dirname(code:which(?MODULE)),
                 "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "prevent_overlapping_partitions", "false"]}),
    Node.

%% Until every node sees every other one.
meet(Count) ->
    case lists:all(fun(N) -> length(erpc:call(N, erlang, nodes, [])) =:= Count - 1 end, [node() | nodes()]) of
        true -> global:sync(), [ok = erpc:call(N, global, sync, []) || N <- nodes()];
        false -> timer:sleep(10), meet(Count)
    end.

emit(Name, Value, Unit) -> io:format("~s ~.3f ~s~n", [Name, Value * 1.0, Unit]).
name(What, Others) -> lists:concat([What, "_", length(Others) + 1]).
scaled(Scale, Full, Least) -> max(Least, round(Full * Scale)).
scaled(Scale, Full) -> scaled(Scale, Full, 1).
timed(Work) -> Start = erlang:monotonic_time(nanosecond), Work(), erlang:monotonic_time(nanosecond) - Start.
percentiles(Name, Samples) ->
    Sorted = lists:sort(Samples),
    At = fun(P) -> lists:nth(ceil(length(Sorted) * P), Sorted) / 1000 end,
    emit([Name, "_p50"], At(0.50), "us"),
    emit([Name, "_p99"], At(0.99), "us").
all_seen(Others) -> [receive seen -> ok end || _ <- Others].

%% ---- on the other nodes
watch(Parent) ->
    {Ref, _} = pg:monitor(bench),
    Parent ! seen,
    watch(Ref, Parent).
watch(Ref, Parent) ->
    receive {Ref, join, bench, _} -> Parent ! seen; {Ref, leave, bench, _} -> ok end,
    watch(Ref, Parent).
%% A process for each: global warns of a second name and refuses it.
hold_names(Of, Count) -> [yes = global:register_name({Of, I}, spawn_link(?MODULE, idle, [])) || I <- lists:seq(1, Count)].
idle() -> receive stop -> ok end.
hold(Of, Count, Parent) -> hold_names(Of, Count), Parent ! seen, receive stop -> ok end.
count_names(Wanted, Parent) ->
    case length(global:registered_names()) of
        Wanted -> Parent ! seen;
        _ -> timer:sleep(1), count_names(Wanted, Parent)
    end.

%% ---- what is measured
measure(growth_groups, Scale, [Other]) ->
    start_groups([Other]),
    among_groups(Scale, Other, 0, [100, 1000, 10000, 100000]);
measure(_, Scale, Others) ->
    Few = length(Others) > 10,
    names(Scale, Others, Few),
    locks(Scale, Others, Few),
    groups(Scale, Others, Few),
    heal(Scale, Others).

names(Scale, Others, Few) ->
    Timed = [{timed(fun() -> yes = global:register_name({name, I}, self()) end),
              timed(fun() -> global:unregister_name({name, I}) end)}
             || I <- lists:seq(1, scaled(Scale, if Few -> 100; true -> 1000 end, 3))],
    percentiles(name(register, Others), [Given || {Given, _} <- Timed]),
    percentiles(name(unregister, Others), [Back || {_, Back} <- Timed]),
    yes = global:register_name(one, self()),
    Looks = scaled(Scale, 300000),
    emit(name(whereis, Others), timed(fun() -> look(one, Looks) end) / Looks, "ns"),
    global:unregister_name(one).
look(_, 0) -> ok;
look(Name, N) -> true = is_pid(global:whereis_name(Name)), look(Name, N - 1).

locks(Scale, Others, Few) ->
    percentiles(name(lock, Others),
                [timed(fun() -> Id = {{resource, I}, self()}, true = global:set_lock(Id), true = global:del_lock(Id) end)
                 || I <- lists:seq(1, scaled(Scale, if Few -> 100; true -> 1000 end, 3))]).

start_groups(Others) ->
    {ok, _} = pg:start(pg),
    [{ok, _} = erpc:call(Node, pg, start, [pg]) || Node <- Others],
    [spawn(Node, ?MODULE, watch, [self()]) || Node <- Others],
    all_seen(Others).
groups(Scale, Others, Few) ->
    start_groups(Others),
    percentiles(name(join, Others), [joined(Others) || _ <- lists:seq(1, scaled(Scale, if Few -> 300; true -> 2000 end, 3))]).
joined(Others) ->
    Ns = timed(fun() -> ok = pg:join(bench, self()), all_seen(Others) end),
    ok = pg:leave(bench, self()),
    Ns.

%% This node leaves all others and comes back; every node has names, of which the other side knows nothing meanwhile.
heal(Scale, Others) ->
    Each = scaled(Scale, 100, 2),
    [spawn(Node, ?MODULE, hold, [Node, Each, self()]) || Node <- Others],
    all_seen(Others),
    hold_names(mine, Each),
    All = Each * (length(Others) + 1),
    Ms = [came_back(Others, Each, All) / 1000000 || _ <- lists:seq(1, scaled(Scale, 5))],
    emit(name(heal, Others), lists:nth(length(Ms) div 2 + 1, lists:sort(Ms)), "ms").
came_back(Others, Each, All) ->
    [erlang:disconnect_node(Node) || Node <- nodes()],
    until(fun() -> nodes() =:= [] andalso length(global:registered_names()) =:= Each end),
    timed(fun() ->
        true = net_kernel:connect_node(hd(Others)),
        until(fun() -> length(nodes()) =:= length(Others) end),
        [spawn(Node, ?MODULE, count_names, [All, self()]) || Node <- Others],
        until(fun() -> length(global:registered_names()) =:= All end),
        all_seen(Others)
    end).
until(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(1), until(Condition)
    end.

%% ---- among many
told(What, Size, Ns, Count) -> emit(lists:concat([What, "_at_", Size]), Ns / Count, "ns").
among_groups(_, _, _, []) -> ok;
among_groups(Scale, Other, There, [Size | More]) ->
    Wanted = scaled(Scale, Size),
    Count = scaled(Scale, 1000),
    [ok = pg:join({group, I}, self()) || I <- lists:seq(There + 1, Wanted)],
    told(join_seen, Size, timed(fun() -> [joined([Other]) || _ <- lists:seq(1, Count)] end), Count),
    among_groups(Scale, Other, Wanted, More).
