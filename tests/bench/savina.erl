%% The same programs as savina_bench.cpp, the way a user of OTP writes them: `erl -eval "savina:main(Line, Scale)"`.
-module(savina).
-behaviour(gen_server).
-export([main/2, init/1, handle_call/3, handle_cast/2]).
-export([counter/1, joiner/2, big_member/2, creature/2, mall/3, reader_and_writer/3, buffer/4, producer/2, consumer/2,
         arbitrator/2, philosopher/3, fib/2, sky/3, filter/2, sorter/3, subscriber/2, slow/2, quick/3]).

-define(KEYS, (16#7fffffff div 4096)).
-define(SORT_ALONE, 2048).
-define(LOAD_STEPS, 50).
-define(MODULUS, 2147483647).   % of the generator of Park and Miller
-define(FACTOR, 16807).

%% In a fresh process, whose heap has not grown.
main(Line, Scale) ->
    {Pid, Ref} = spawn_monitor(fun() -> measure(Line, Scale) end),
    receive {'DOWN', Ref, process, Pid, normal} -> halt(0, [{flush, true}]);
            {'DOWN', Ref, process, Pid, Why} -> io:format(standard_error, "~p~n", [Why]), halt(1)
    end.

measure(Line, Scale) ->
    {Unit, Count, Ns} = run(Line, Scale),
    io:format("~s ~.3f ~s~n", [Line, Count * 1.0e9 / Ns, Unit]).

timed(Work) -> Start = erlang:monotonic_time(nanosecond), Work(), erlang:monotonic_time(nanosecond) - Start.
scaled(Scale, Full) -> max(1, round(Full * Scale)).
%% So many rounds of so much each. A smaller scale takes rounds away, then makes the one that is left smaller.
rounds_of(Scale, Rounds, Each) -> {scaled(Scale, Rounds), scaled(min(1.0, Scale * Rounds), Each)}.
repeat(0, _) -> ok;
repeat(N, Work) -> Work(), repeat(N - 1, Work).
require(true, _) -> ok;
require(false, What) -> exit({wrong_result, What}).
sum_of(Senders) -> sum_of(Senders, 0).
sum_of(0, Sum) -> Sum;
sum_of(N, Sum) -> receive {total, Total} -> sum_of(N - 1, Sum + Total) end.
seed(Number) -> rand:seed(exsss, Number).
random(Below) -> rand:uniform(Below) - 1.

%% ---- counting, fork-join
counter(Count) ->
    receive
        increment -> counter(Count + 1);
        {retrieve, From} -> From ! {total, Count}, counter(0);
        stop -> ok
    end.
increment(_, 0) -> ok;
increment(To, N) -> To ! increment, increment(To, N - 1).
worked(Theta) -> Sine = math:sin(Theta), case Sine * Sine > 0 of true -> 1; false -> 0 end.
joiner(N, Parent) -> joiner(N, 0, Parent).
joiner(0, Done, Parent) -> Parent ! {total, Done};
joiner(N, Done, Parent) -> receive {work, Theta} -> joiner(N - 1, Done + worked(Theta), Parent) end.

%% ---- big: asks one after the other, at random, and answers whoever asks
big_member(Pings, Parent) -> receive {neighbours, All} -> big(Pings, All, ask(All), 0, Parent) end.
big(Pings, All, Asked, Answered, Parent) ->
    receive
        {ping, From} -> From ! {pong, self()}, big(Pings, All, Asked, Answered + 1, Parent);
        {pong, Asked} when Pings > 1 -> big(Pings - 1, All, ask(All), Answered, Parent);
        {pong, Asked} -> Parent ! done, big(0, All, none, Answered, Parent);
        {pong, _} -> exit(Parent, {wrong_result, "a pong came from another than was asked"});
        stop -> Parent ! {total, Answered}
    end.
ask(All) -> Asked = element(rand:uniform(tuple_size(All)), All), Asked ! {ping, self()}, Asked.

%% ---- chameneos
complement(Colour, Colour) -> Colour;
complement(Mine, Other) -> 3 - Mine - Other.
creature(Colour, Mall) -> Mall ! {meet, self(), Colour}, creature(Colour, Mall, 0).
creature(Colour, Mall, Meetings) ->
    New = receive
        {meet, From, Other} -> Both = complement(Colour, Other), From ! {change, Both}, Both;
        {change, Both} -> Both;
        stop -> none
    end,
    case New of
        none -> Mall ! {total, Meetings};
        _ -> Mall ! {meet, self(), New}, creature(New, Mall, Meetings + 1)
    end.
mall(Creatures, Meetings, Parent) -> mall(Creatures, Meetings, none, 0, Parent).
mall(0, _, _, Met, Parent) -> Parent ! {total, Met};
mall(Creatures, Meetings, Waiting, Met, Parent) ->
    receive
        {meet, From, _} when Meetings =:= 0 -> From ! stop, mall(Creatures, Meetings, Waiting, Met, Parent);
        {meet, From, _} when Waiting =:= none -> mall(Creatures, Meetings, From, Met, Parent);
        {meet, _, _} = Second -> Waiting ! Second, mall(Creatures, Meetings - 1, none, Met, Parent);
        {total, One} -> mall(Creatures - 1, Meetings, Waiting, Met + One, Parent)
    end.

%% ---- the servers: a dictionary, a series of the logistic map and what computes it, an account of the bank
%% What stands under a key is equal to it modulo KEYS: so every answer can be checked.
init(dictionary) -> {ok, {dictionary, maps:from_list([{Key, Key} || Key <- lists:seq(0, ?KEYS - 1)])}};
init(State) -> {ok, State}.
handle_call({write, Key, Content}, _, {dictionary, Map}) -> {reply, Content, {dictionary, Map#{Key => Content}}};
handle_call({lookup, Key}, _, {dictionary, Map} = State) -> {reply, maps:get(Key, Map), State};
handle_call({compute, Term}, _, {rate, Rate} = State) -> {reply, next_term(Rate, Term), State};
handle_call(get_term, _, {series, _, Term} = State) -> {reply, Term, State};
handle_call({deposit, Amount}, _, {account, Balance}) -> {reply, ok, {account, Balance + Amount}};
handle_call(balance, _, {account, Balance} = State) -> {reply, Balance, State}.
handle_cast(next_term, {series, Computer, Term}) ->
    {noreply, {series, Computer, gen_server:call(Computer, {compute, Term}, infinity)}};
handle_cast({transfer, Amount, To, Teller}, {account, Balance}) ->
    ok = gen_server:call(To, {deposit, Amount}, infinity),
    Teller ! done,
    {noreply, {account, Balance - Amount}}.
server(State) -> {ok, Pid} = gen_server:start_link(?MODULE, State, []), Pid.
next_term(Rate, Term) -> Rate * Term * (1 - Term).
nth_term(_, Term, 0) -> Term;
nth_term(Rate, Term, N) -> nth_term(Rate, next_term(Rate, Term), N - 1).
reader_and_writer(Count, Dictionary, Parent) -> reader_and_writer(Count, 0, Dictionary, Parent).
reader_and_writer(0, Right, _, Parent) -> Parent ! {total, Right};
reader_and_writer(N, Right, Dictionary, Parent) ->
    Key = random(?KEYS),
    One = case random(100) < 10 of
        true ->
            Content = Key + ?KEYS * random(4096),
            gen_server:call(Dictionary, {write, Key, Content}, infinity) =:= Content;
        false -> gen_server:call(Dictionary, {lookup, Key}, infinity) rem ?KEYS =:= Key
    end,
    reader_and_writer(N - 1, case One of true -> Right + 1; false -> Right end, Dictionary, Parent).

%% ---- bounded buffer: asks a producer for its next item when there is room, so that never more than Size wait
buffer(Producers, Consumers, Size, Parent) ->
    buffer(Producers, Consumers, Size - Producers, {queue:new(), 0, 0}, queue:new(), [], Parent, Size).
buffer(0, Consumers, _, {_, _, Most}, _, Idle, Parent, Size) when length(Idle) =:= Consumers ->
    [One ! stop || One <- Idle],
    Parent ! {total, case Most =< Size of true -> 1; false -> 0 end};
buffer(Producers, Consumers, Room, {Items, Waiting, Most} = All, Held, Idle, Parent, Size) ->
    receive
        {item, _, Producer} = Item ->
            {Now, Left} = case Idle of
                [] -> {{queue:in(Item, Items), Waiting + 1, max(Most, Waiting + 1)}, []};
                [First | Rest] -> First ! Item, {All, Rest}
            end,
            Kept = case Now of
                {_, Number, _} when Number < Room -> Producer ! produce, Held;
                _ -> queue:in(Producer, Held)
            end,
            buffer(Producers, Consumers, Room, Now, Kept, Left, Parent, Size);
        {available, Consumer} when Waiting =:= 0 ->
            buffer(Producers, Consumers, Room, All, Held, [Consumer | Idle], Parent, Size);
        {available, Consumer} ->
            {{value, Item}, Rest} = queue:out(Items),
            Consumer ! Item,
            Kept = case queue:out(Held) of
                {{value, Producer}, Others} -> Producer ! produce, Others;
                {empty, Held} -> Held
            end,
            buffer(Producers, Consumers, Room, {Rest, Waiting - 1, Most}, Kept, Idle, Parent, Size);
        done -> buffer(Producers - 1, Consumers, Room, All, Held, Idle, Parent, Size)
    end.
producer(Count, To) -> producer(1, Count, To).
producer(I, Count, To) when I > Count -> To ! done;
producer(I, Count, To) -> To ! {item, I, self()}, receive produce -> producer(I + 1, Count, To) end.
consumer(From, Parent) -> consumer(From, Parent, 0).
consumer(From, Parent, Sum) ->
    From ! {available, self()},
    receive {item, Content, _} -> consumer(From, Parent, Sum + Content); stop -> Parent ! {total, Sum} end.

%% ---- philosophers. The arbitrator tells how many meals there were, or less than none when one fork is missing
arbitrator(Seats, Parent) -> arbitrator(Seats, Seats, #{}, 0, Parent).
arbitrator(0, _, Taken, Meals, Parent) -> Parent ! {total, case map_size(Taken) of 0 -> Meals; _ -> -1 end};
arbitrator(Eating, Seats, Taken, Meals, Parent) ->
    receive
        {hungry, From, Seat} ->
            Right = (Seat + 1) rem Seats,
            case is_map_key(Seat, Taken) orelse is_map_key(Right, Taken) of
                true -> From ! denied, arbitrator(Eating, Seats, Taken, Meals, Parent);
                false -> From ! eat, arbitrator(Eating, Seats, Taken#{Seat => true, Right => true}, Meals, Parent)
            end;
        {full, Seat} ->
            {_, One} = maps:take(Seat, Taken),
            {_, Both} = maps:take((Seat + 1) rem Seats, One),
            arbitrator(Eating, Seats, Both, Meals + 1, Parent);
        done -> arbitrator(Eating - 1, Seats, Taken, Meals, Parent)
    end.
philosopher(_, 0, Forks) -> Forks ! done;
philosopher(Seat, Meals, Forks) ->
    Forks ! {hungry, self(), Seat},
    receive eat -> Forks ! {full, Seat}, philosopher(Seat, Meals - 1, Forks);
            denied -> philosopher(Seat, Meals, Forks)
    end.

%% ---- fib, skynet
fib(Number, Parent) when Number =< 2 -> Parent ! {total, 1};
fib(Number, Parent) ->
    Self = self(),
    spawn(?MODULE, fib, [Number - 1, Self]),
    spawn(?MODULE, fib, [Number - 2, Self]),
    Parent ! {total, sum_of(2)}.
sky(Number, 1, Parent) -> Parent ! {total, Number};
sky(Number, Size, Parent) ->
    Part = Size div 10,
    [spawn(?MODULE, sky, [Number + I * Part, Part, self()]) || I <- lists:seq(0, 9)],
    Parent ! {total, sum_of(10)}.

%% ---- sieve: keeps the first primes that come, and sends on what none of them divides
filter(Room, Parent) -> filter(Room, Room, [], none, Parent).
filter(Left, Room, Primes, Next, Parent) ->
    receive
        {candidate, Number} = Candidate ->
            case divided(Number, Primes) of
                true -> filter(Left, Room, Primes, Next, Parent);
                false when Left > 0 -> filter(Left - 1, Room, Primes ++ [Number], Next, Parent);
                false when Next =:= none ->
                    Pid = spawn(?MODULE, filter, [Room, Parent]),
                    Pid ! Candidate,
                    filter(Left, Room, Primes, Pid, Parent);
                false -> Next ! Candidate, filter(Left, Room, Primes, Next, Parent)
            end;
        stop ->
            Parent ! {total, Room - Left},
            case Next of none -> Parent ! done; _ -> Next ! stop end
    end.
divided(_, []) -> false;
divided(Number, [Prime | _]) when Number rem Prime =:= 0 -> true;
divided(Number, [_ | Rest]) -> divided(Number, Rest).
candidates(_, Number, Limit) when Number >= Limit -> ok;
candidates(To, Number, Limit) -> To ! {candidate, Number}, candidates(To, Number + 2, Limit).
primes_below(Limit) -> length([N || N <- lists:seq(2, Limit - 1), is_prime(N, 2)]).
is_prime(N, Divisor) when Divisor * Divisor > N -> true;
is_prime(N, Divisor) -> N rem Divisor =/= 0 andalso is_prime(N, Divisor + 1).

%% ---- quicksort
sorter(Items, Side, Parent) ->
    case length(Items) of
        Few when Few < ?SORT_ALONE -> Parent ! {sorted, Side, lists:sort(Items)};
        Many ->
            {Less, Same, More} = split(lists:nth(Many div 2, Items), Items, [], [], []),
            spawn(?MODULE, sorter, [Less, less, self()]),
            spawn(?MODULE, sorter, [More, more, self()]),
            Sorted = receive {sorted, more, Behind} -> Same ++ Behind end,
            Parent ! {sorted, Side, receive {sorted, less, Before} -> Before ++ Sorted end}
    end.
split(_, [], Less, Same, More) -> {Less, Same, More};
split(Pivot, [One | Rest], Less, Same, More) when One < Pivot -> split(Pivot, Rest, [One | Less], Same, More);
split(Pivot, [One | Rest], Less, Same, More) when One > Pivot -> split(Pivot, Rest, Less, Same, [One | More]);
split(Pivot, [One | Rest], Less, Same, More) -> split(Pivot, Rest, Less, [One | Same], More).

%% ---- group broadcast, slow consumer
subscriber(Count, Parent) -> subscriber(Count, 0, Parent).
subscriber(0, Sum, Parent) -> Parent ! {total, Sum};
subscriber(N, Sum, Parent) -> receive {news, Number} -> subscriber(N - 1, Sum + Number, Parent) end.
slow(Count, Parent) -> slow(Count, #{}, 1, Parent).
slow(0, _, State, Parent) -> Parent ! {total, State};
slow(N, Next, State, Parent) ->
    receive {load, Producer, Number} ->
        case maps:get(Producer, Next, 0) of
            Number -> slow(N - 1, Next#{Producer => Number + 1}, steps(?LOAD_STEPS, State), Parent);
            _ -> Parent ! {total, -1}
        end
    end.
steps(0, State) -> State;
steps(N, State) -> steps(N - 1, State * ?FACTOR rem ?MODULUS).
quick(Producer, Count, To) -> quick(Producer, 0, Count, To).
quick(_, Count, Count, _) -> ok;
quick(Producer, I, Count, To) -> To ! {load, Producer, I}, quick(Producer, I + 1, Count, To).
power(_, 0) -> 1;
power(Base, N) when N rem 2 =:= 1 -> Base * power(Base * Base rem ?MODULUS, N div 2) rem ?MODULUS;
power(Base, N) -> power(Base * Base rem ?MODULUS, N div 2).

%% ---- {Unit, Count, Nanoseconds} of each
run(savina_counting, Scale) ->
    {Rounds, Count} = rounds_of(Scale, 3, 1000000),
    To = spawn(?MODULE, counter, [0]),
    Ns = timed(fun() -> repeat(Rounds, fun() ->
        increment(To, Count),
        To ! {retrieve, self()},
        require(sum_of(1) =:= Count, "not every increment was counted")
    end) end),
    To ! stop,
    {"msgs/s", Rounds * Count, Ns};
run(savina_fork_join, Scale) ->
    {Rounds, Each} = rounds_of(Scale, 3, 10000),
    Ns = timed(fun() -> repeat(Rounds, fun() ->
        All = [spawn(?MODULE, joiner, [Each, self()]) || _ <- lists:seq(1, 60)],
        repeat(Each, fun() -> [One ! {work, 37.2} || One <- All] end),
        require(sum_of(60) =:= 60 * Each, "not all was worked on")
    end) end),
    {"msgs/s", Rounds * 60 * Each, Ns};
run(savina_fork_join_create, Scale) ->
    {Rounds, Count} = rounds_of(Scale, 6, 40000),
    Ns = timed(fun() -> repeat(Rounds, fun() ->
        repeat(Count, fun() -> spawn(?MODULE, joiner, [1, self()]) ! {work, 37.2} end),
        require(sum_of(Count) =:= Count, "not every process has worked")
    end) end),
    {"processes/s", Rounds * Count, Ns};
run(savina_big, Scale) ->
    Pings = scaled(Scale, 10000),
    All = [spawn(?MODULE, big_member, [Pings, self()]) || _ <- lists:seq(1, 120)],
    Ns = timed(fun() ->
        [One ! {neighbours, list_to_tuple(All)} || One <- All],
        repeat(120, fun() -> receive done -> ok end end)
    end),
    [One ! stop || One <- All],
    require(sum_of(120) =:= 120 * Pings, "not every ping was answered once"),
    {"pings/s", 120 * Pings, Ns};
run(savina_chameneos, Scale) ->
    Meetings = scaled(Scale, 500000),
    Ns = timed(fun() ->
        Mall = spawn(?MODULE, mall, [100, Meetings, self()]),
        [spawn(?MODULE, creature, [I rem 3, Mall]) || I <- lists:seq(0, 99)],
        require(sum_of(1) =:= 2 * Meetings, "two creatures take part in each meeting")
    end),
    {"meetings/s", Meetings, Ns};
run(savina_dictionary, Scale) ->
    Each = scaled(Scale, 10000),
    Dictionary = server(dictionary),
    Ns = timed(fun() ->
        [spawn(?MODULE, reader_and_writer, [Each, Dictionary, self()]) || _ <- lists:seq(1, 20)],
        require(sum_of(20) =:= 20 * Each, "the dictionary has answered with another")
    end),
    {"calls/s", 20 * Each, Ns};
run(savina_bounded_buffer, Scale) ->
    Each = scaled(Scale, 15000),
    Ns = timed(fun() ->
        Buffer = spawn(?MODULE, buffer, [40, 40, 50, self()]),
        [spawn(?MODULE, consumer, [Buffer, self()]) || _ <- lists:seq(1, 40)],
        [spawn(?MODULE, producer, [Each, Buffer]) || _ <- lists:seq(1, 40)],
        require(sum_of(41) =:= 40 * Each * (Each + 1) div 2 + 1, "items are missing, or the buffer was too full")
    end),
    {"items/s", 40 * Each, Ns};
run(savina_philosophers, Scale) ->
    Meals = scaled(Scale, 20000),
    Ns = timed(fun() ->
        Forks = spawn(?MODULE, arbitrator, [20, self()]),
        [spawn(?MODULE, philosopher, [Seat, Meals, Forks]) || Seat <- lists:seq(0, 19)],
        require(sum_of(1) =:= 20 * Meals, "somebody has eaten with a fork of another")
    end),
    {"meals/s", 20 * Meals, Ns};
run(savina_logistic_map, Scale) ->
    {Rounds, Terms} = rounds_of(Scale, 1, 25000),
    Took = [begin
        Begin = [{3.46 + 0.0025 * I, 0.0025 * (I + 1)} || I <- lists:seq(0, 9)],
        All = [server({series, server({rate, Rate}), Term}) || {Rate, Term} <- Begin],
        Self = self(),
        Ns = timed(fun() ->
            repeat(Terms, fun() -> [gen_server:cast(One, next_term) || One <- All] end),
            Self ! {found, [gen_server:call(One, get_term, infinity) || One <- All]}
        end),
        Found = receive {found, Them} -> Them end,
        require(Found =:= [nth_term(Rate, Term, Terms) || {Rate, Term} <- Begin], "a series has another term"),
        Ns
    end || _ <- lists:seq(1, Rounds)],
    {"terms/s", Rounds * 10 * Terms, lists:sum(Took)};
run(savina_banking, Scale) ->
    {Rounds, Transactions} = rounds_of(Scale, 1, 50000),
    All = list_to_tuple([server({account, 1000000}) || _ <- lists:seq(1, 1000)]),
    seed(123456),
    Ns = timed(fun() -> repeat(Rounds, fun() ->
        repeat(Transactions, fun() ->
            From = random(800),     % always to an account behind it: no two wait for each other
            To = From + 1 + random(1000 - From - 1),
            gen_server:cast(element(From + 1, All), {transfer, random(1000), element(To + 1, All), self()})
        end),
        repeat(Transactions, fun() -> receive done -> ok end end)
    end) end),
    Money = lists:sum([gen_server:call(One, balance, infinity) || One <- tuple_to_list(All)]),
    require(Money =:= 1000 * 1000000, "money was lost or made"),
    {"transactions/s", Rounds * Transactions, Ns};
run(savina_fib, Scale) ->
    {Number, Result} = case Scale >= 0.1 of true -> {25, 75025}; false -> {15, 610} end,
    Rounds = scaled(Scale, 1),
    Ns = timed(fun() -> repeat(Rounds, fun() ->
        spawn(?MODULE, fib, [Number, self()]),
        require(sum_of(1) =:= Result, "another number of Fibonacci")
    end) end),
    {"processes/s", Rounds * (2 * Result - 1), Ns};
run(savina_skynet, Scale) ->
    Leaves = case Scale >= 0.1 of true -> 1000000; false -> 10000 end,
    Ns = timed(fun() ->
        spawn(?MODULE, sky, [0, Leaves, self()]),
        require(sum_of(1) =:= Leaves * (Leaves - 1) div 2, "another sum of the leaves' numbers")
    end),
    {"processes/s", (Leaves * 10 - 1) div 9, Ns};
run(savina_sieve, Scale) ->
    Limit = scaled(Scale, 100000),
    Ns = timed(fun() ->
        First = spawn(?MODULE, filter, [10, self()]),
        candidates(First, 3, Limit),
        First ! stop,
        receive done -> ok end
    end),
    Filters = process_info(self(), message_queue_len),
    require(sum_of(element(2, Filters)) + 1 =:= primes_below(Limit), "another number of primes"),
    {"candidates/s", Limit div 2, Ns};
run(savina_quicksort, Scale) ->
    {Rounds, Count} = rounds_of(Scale, 1, 1000000),
    seed(1024),
    Took = [begin
        Items = [random(1 bsl 59) || _ <- lists:seq(1, Count)],
        Self = self(),
        Ns = timed(fun() ->
            spawn(?MODULE, sorter, [Items, all, Self]),
            receive {sorted, all, Sorted} -> Self ! {all, Sorted} end
        end),
        require(receive {all, Sorted} -> Sorted =:= lists:sort(Items) end, "not sorted"),
        Ns
    end || _ <- lists:seq(1, Rounds)],
    {"items/s", Rounds * Count, lists:sum(Took)};
run(savina_group_broadcast, Scale) ->
    Count = case Scale >= 0.1 of true -> 100000; false -> 1000 end,
    News = scaled(Scale, 10),
    {ok, _} = pg:start_link(),
    Members = [spawn(?MODULE, subscriber, [News, self()]) || _ <- lists:seq(1, Count)],
    ok = pg:join(savina, Members),
    Ns = timed(fun() ->
        [[One ! {news, I} || One <- pg:get_members(savina)] || I <- lists:seq(1, News)],
        require(sum_of(Count) =:= Count * News * (News + 1) div 2, "not everybody has the news")
    end),
    {"deliveries/s", Count * News, Ns};
run(savina_slow_consumer, Scale) ->
    Each = scaled(Scale, 250000),
    Ns = timed(fun() ->
        To = spawn(?MODULE, slow, [4 * Each, self()]),
        [spawn(?MODULE, quick, [I, Each, To]) || I <- lists:seq(0, 3)],
        require(sum_of(1) =:= power(?FACTOR, 4 * Each * ?LOAD_STEPS), "a message was lost, or overtook another")
    end),
    {"msgs/s", 4 * Each, Ns}.
