// Nothing but the reading of times: the page is complete without it.

import "./console.js";
