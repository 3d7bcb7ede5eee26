// The list of phones: states as they come, and the filter.

import { t, eventWords, time, frame, follow, request, party, stateOf, stateCell, registration } from "./console.js";

const table = document.getElementById("phones");
const text = document.getElementById("q"), state = document.getElementById("state"), count = document.getElementById("count");
const rows = new Map([...table.tBodies[0].rows].map(row => [row.dataset.phone, { row, words: "", status: null }]));
const whole = table.dataset.whole === "true";
const changed = new Map();

for (const [name, one] of rows) one.words = [name, one.row.dataset.model, one.row.cells[2].textContent].join("\n").toLowerCase();

function statesOf(doc) {
	const s = doc.status;
	const all = [s.reachable === null ? "unknown" : s.reachable ? "online" : "offline"];
	if (s.call && s.call.state !== "ended") all.push(s.call.state);
	if (s.registered === false) all.push("unregistered");
	if (s.problem || doc.locked_out) all.push("problem");
	return all;
}

function shown(one) {
	if (!whole) return true;
	const wanted = text.value.trim().toLowerCase();
	if (wanted && !one.words.includes(wanted)) return false;
	return !state.value || !one.doc || statesOf(one.doc).includes(state.value);
}

const draw = frame(() => {
	for (const [name, change] of changed) {
		const one = rows.get(name);
		if (!one) continue;
		const cells = one.row.cells;
		if (change.doc) {
			const status = change.doc.status;
			one.doc = change.doc;
			const other = party(status.call?.remote);
			cells[1].replaceChildren(...stateCell(status));
			cells[2].textContent = other;
			cells[3].textContent = registration(status);
			cells[4].textContent = status.problem ?? (change.doc.locked_out ? t("refused the login") : stateOf(status) === "offline" ? change.doc.why ?? cells[4].textContent : "");
			one.words = [name, status.model ?? "", other].join("\n").toLowerCase();
		}
		if (change.event) cells[5].replaceChildren(eventWords(change.event.event_type) + " ", time(change.event.time));
		one.row.hidden = !shown(one);
	}
	changed.clear();
});

function change(name, what) {
	changed.set(name, { ...changed.get(name), ...what });
	draw();
}

// docOf returns the last that is known of a phone, drawn or not.
const docOf = name => changed.get(name)?.doc ?? rows.get(name)?.doc;

function filter() {
	let n = 0;
	for (const one of rows.values()) {
		one.row.hidden = !shown(one);
		if (!one.row.hidden) n++;
	}
	count.textContent = (n === rows.size ? "" : n + " / ") + rows.size + " " + t("phones");
}

let waiting;
function asked() {
	if (whole) return filter();
	clearTimeout(waiting);
	waiting = setTimeout(() => text.form.submit(), 600); // not all phones are on this page
}
text.addEventListener("input", asked);
state.addEventListener("change", asked);
text.form.addEventListener("submit", e => { if (whole) { e.preventDefault(); filter(); } });

follow("?types=status,event", {
	async start() {
		for (const doc of (await request("api/phones")).phones) {
			const known = docOf(doc.name);
			if (known && known.status.time > doc.status.time) continue; // something came while this was under way
			change(doc.name, { doc, ...doc.last_event && { event: doc.last_event } });
		}
	},
	status(status) {
		change(status.phone, { doc: { ...docOf(status.phone), status } });
	},
	event(event) { change(event.phone, { event }); },
});
