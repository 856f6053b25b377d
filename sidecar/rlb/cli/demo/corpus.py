"""What the demo's models say: answers of the length and the kind that people get from them."""

from __future__ import annotations

ANSWERS = (
    (
        "A Redis stream is an append-only log. Each entry gets an ID made of a millisecond timestamp and a "
        "counter, so entries are ordered by time and can be addressed one by one. Unlike pub/sub, a stream keeps "
        "what was written: a reader that was away asks for everything behind the last ID it has seen, and misses "
        "nothing as long as the stream has not been trimmed in the meantime."
    ),
    (
        "The sky is blue because air scatters short wavelengths more strongly than long ones. Sunlight holds "
        "every color, but violet and blue are deflected many times on their way down, so they seem to come from "
        "all directions. At sunset the light crosses far more air; most of the blue has been scattered out of the"
        " line of sight by then, and what is left to reach us directly is orange and red."
    ),
    (
        "For a simple sourdough loaf you need 500 g of flour, 350 g of water, 100 g of active starter and 10 g of"
        " salt.\n"
        "1. Mix flour and water, and let them rest for half an hour.\n"
        "2. Add starter and salt, then fold the dough every 30 minutes, four times.\n"
        "3. Let it rise until it has grown by half, shape it, and keep it in the fridge overnight.\n"
        "4. Bake at 245 °C in a closed pot for 25 minutes, then 20 more without the lid."
    ),
    (
        "Yes, that query can be faster. The database reads the whole table because the condition wraps the column"
        " in a function: `WHERE date(created_at) = '2024-05-01'`. Compare with a range instead, `created_at >= "
        "'2024-05-01' AND created_at < '2024-05-02'`, and an ordinary index on `created_at` does the work. Check "
        "with EXPLAIN that the plan changes from a sequential scan to an index scan."
    ),
    (
        "Photosynthesis happens in two stages. In the light reactions, chlorophyll absorbs light and the energy "
        "is used to split water, which releases oxygen and charges the carriers ATP and NADPH. In the Calvin "
        "cycle these carriers drive the fixation of carbon dioxide into sugar. The second stage needs no light "
        "itself, but it stops soon after dark, when the carriers run out."
    ),
    (
        "Dear Ms. Tanaka,\n\n"
        "thank you for your patience. The part we had been waiting for arrived this morning, and your order left "
        "our warehouse at noon. You can expect it on Thursday. As a small apology for the delay we have refunded "
        "the shipping costs; you should see them on your account within three working days.\n\n"
        "Kind regards,\n"
        "the support team"
    ),
    (
        "A consumer group lets several workers share one stream. Every entry is handed to one worker of the group"
        " and stays on its pending list until it is acknowledged. If the worker dies, its entries can be claimed "
        "by another one after they have been idle for long enough. The price is that an entry may be delivered "
        "twice, so handlers should be safe to repeat."
    ),
    (
        "Here is a short itinerary for two days in Lisbon. Start in Alfama early, before the trams fill up, and "
        "walk to the viewpoint at Portas do Sol. Have lunch near the Feira da Ladra, then take the ferry to "
        "Cacilhas for the view of the city from across the river. On the second day go to Belém: the monastery "
        "first, the tower from outside, and a warm pastel de nata in between."
    ),
    (
        "The bug is a race between the timer and the callback. `cancel()` is asked for while the task is waiting,"
        " but the library catches the cancellation and returns as if the call had succeeded, so the loop simply "
        "goes around again. Two changes mend it: set the closed flag before cancelling, and check the flag after "
        "every await in the loop. A test that cancels after each number of steps would have found it."
    ),
    (
        "Think of inflation as a change in the price of money. When more money chases the same goods, each unit "
        "buys less. Central banks answer by raising interest rates: borrowing becomes expensive, spending slows, "
        "and prices follow with a delay of a year or more. That delay is why they often do too little first and "
        "too much afterwards."
    ),
    (
        "The octopus has three hearts, blue blood and about five hundred million neurons, two thirds of them in "
        "its arms. An arm can taste, touch and decide on its own; the central brain says where to go rather than "
        "how to move. It is a reminder that intelligence has evolved more than once, and that it need not look "
        "like ours."
    ),
    (
        "Let me summarize the contract in plain words. You may end it with three months' notice to the end of a "
        "quarter. The fee rises once a year with the consumer price index, but by no more than four percent. "
        "Section 7 is the one to negotiate: it lets the provider change the service description at any time, and "
        "your only remedy would be to leave."
    ),
    (
        "To compare floating point numbers, do not use `==`. Ask whether they are close enough for your purpose:\n\n"
        "    import math\n"
        "    math.isclose(0.1 + 0.2, 0.3, rel_tol=1e-9)\n\n"
        "The relative tolerance scales with the numbers, which is what you want almost everywhere except near "
        "zero; there, add an absolute tolerance that means something in your units."
    ),
    (
        "Backpressure is how a slow part of a system tells the fast part to wait. Without it the difference in "
        "speed collects somewhere, usually in a queue, and a queue without a bound is a memory leak with a polite"
        " name. Bounded queues turn overload into a decision: wait, shed, or spill. Any of the three is better "
        "than falling over."
    ),
)
