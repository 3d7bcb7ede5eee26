// The list of phones: states as they come, and the filter.

import { t, eventWords, time, frame, follow, request, party, stateOf, stateCell, registration, fresh, reason } from "./console.js";

const table = document.getElementById("phones");
const text = document.getElementById("q"), state = document.getElementById("state"), count = document.getElementById("count");
let rows, whole; // whether all phones are on the page
const changed = new Map();

function read() {
	whole = table.dataset.whole === "true";
	rows = new Map([...table.tBodies[0].rows].map(row => [row.dataset.phone, { row, words: [row.dataset.phone, row.dataset.model, row.cells[2].textContent].join("\n").toLowerCase() }]));
}
read();

function statesOf(doc) {
	const s = doc.status;
	const all = [s.reachable === null ? "unknown" : s.reachable ? "online" : "offline"];
	if (s.reachable && s.call && s.call.state !== "ended") all.push(s.call.state);
	if (s.registered === false) all.push("unregistered");
	if (s.problem || doc.locked_out) all.push("problem");
	return all;
}

function shown(one) {
	if (!whole) return true; // the bridge has chosen them
	const wanted = text.value.trim().toLowerCase();
	if (wanted && !one.words.includes(wanted)) return false;
	if (!one.doc) return !state.value || !one.row.hidden;
	return !state.value || statesOf(one.doc).includes(state.value);
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
			const why = status.problem ?? (change.doc.locked_out || stateOf(status) !== "offline" ? "" : change.doc.why ?? cells[4].textContent);
			cells[4].replaceChildren(...why ? reason(why) : change.doc.locked_out ? [t("refused the login")] : []);
			one.row.querySelector("th small").textContent = status.model ?? one.row.dataset.model;
			one.words = [name, status.model ?? "", other].join("\n").toLowerCase();
		}
		if (change.event) cells[5].replaceChildren(eventWords(change.event.event_type) + " ", time(change.event.time));
	}
	changed.clear();
	filter();
});

function change(name, what) {
	changed.set(name, { ...changed.get(name), ...what });
	draw();
}

// docOf returns the last that is known of a phone, drawn or not.
const docOf = name => changed.get(name)?.doc ?? rows.get(name)?.doc;

function filter() {
	if (!whole) return;
	let n = 0;
	for (const one of rows.values()) {
		const hidden = !shown(one);
		if (one.row.hidden !== hidden) one.row.hidden = hidden;
		if (!hidden) n++;
	}
	count.textContent = (n === rows.size ? "" : n + " / ") + rows.size + " " + t("phones");
}

// renew reads the page again, for the filter as it is: there may be other phones, or not all of them on this page.
async function renew() {
	const query = new URLSearchParams({ q: text.value, state: state.value });
	if (location.search || !whole) history.replaceState(null, "", "?" + query);
	const now = await fresh().catch(() => null);
	if (!now) return;
	const is = now.getElementById("phones");
	table.dataset.whole = is.dataset.whole;
	table.tBodies[0].replaceWith(document.adoptNode(is.tBodies[0]));
	count.textContent = now.getElementById("count").textContent;
	document.querySelector(".pager")?.remove();
	const pager = now.querySelector(".pager");
	if (pager) document.querySelector("main").append(document.adoptNode(pager));
	read();
	for (const e of table.querySelectorAll("time")) e.replaceWith(time(e.dateTime));
	await load();
}

async function load() {
	for (const doc of (await request("api/phones")).phones) {
		const known = docOf(doc.name);
		if (known && known.status.time > doc.status.time) continue; // something came while this was under way
		change(doc.name, { doc, ...doc.last_event && { event: doc.last_event } });
	}
}

let waiting;
const renewSoon = after => {
	clearTimeout(waiting);
	waiting = setTimeout(() => { waiting = 0; renew(); }, after);
};
function asked() {
	if (whole) filter();
	else renewSoon(400);
}
text.addEventListener("input", asked);
state.addEventListener("change", asked);
text.form.addEventListener("submit", e => { e.preventDefault(); asked(); });

follow("?types=status,event,bridge", {
	bridge(is) { if (is.reloaded) renewSoon(0); },
	start: load,
	status(status) {
		if (!whole && (text.value || state.value) && !waiting) renewSoon(2000);
		change(status.phone, { doc: { ...docOf(status.phone), status } });
	},
	event(event) { change(event.phone, { event }); },
});
