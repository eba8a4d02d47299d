// Print the numbers that are typed into the page rather than measured by it, for tests/lesson/test_typed.py.

import * as recorded from "../src/recorded";
import * as counts from "../src/sections/counts";

process.stdout.write(JSON.stringify({ recorded, counts }));
