// Messages as they come.

import { t, eventText, make, time, follow, frame, party, stateOf } from "./console.js";

const body = document.getElementById("messages").tBodies[0];
const text = document.getElementById("q"), kind = document.getElementById("kind"), count = document.getElementById("count");
const pause = document.getElementById("pause");
const most = 500;
let held = [], fresh = [];

document.getElementById("filter").addEventListener("submit", e => e.preventDefault());

const shown = row => (!kind.value || row.dataset.kind === kind.value) && (!text.value || row.textContent.toLowerCase().includes(text.value.trim().toLowerCase()));

const draw = frame(() => {
	const rows = fresh.splice(0).slice(-most).map(([name, doc]) => {
		const row = make("tr", { "data-kind": name }, make("td", {}, time(doc.time)), make("td", {}, t(name)), make("td", {}, doc.door ?? doc.phone ?? ""), make("td", {}, ...words(name, doc)));
		row.hidden = !shown(row);
		return row;
	});
	body.prepend(...rows.reverse());
	while (body.rows.length > most) body.lastChild.remove();
	tell();
});

function tell() {
	count.textContent = held.length ? held.length + " " + t("held back") : body.rows.length + " " + t("messages");
}

function words(name, doc) {
	const details = make("details", {}, make("summary", {}, summary(name, doc)), make("pre", {}, JSON.stringify(doc, null, 2)));
	if (name !== "result") return [details];
	return [make("a", { href: "#code-" + doc.code, class: doc.ok ? "good" : "bad" }, doc.code), " ", details];
}

function summary(name, doc) {
	switch (name) {
	case "command": return [doc.command, doc.argument, doc.group && "(" + doc.group + ")"].filter(Boolean).join(" ");
	case "result": return [doc.command, doc.argument, doc.message].filter(Boolean).join(" ");
	case "event": return eventText(doc);
	case "ring": return [t("Ring"), party(doc.remote)].filter(Boolean).join(" ");
	case "door": return [t(doc.state), doc.call && doc.call.phone + " " + t(doc.call.state)].filter(Boolean).join(" ");
	case "status": return [t(stateOf(doc)), party(doc.call?.remote)].filter(Boolean).join(" ");
	}
	return [doc.action, doc.code, doc.message].filter(Boolean).join(" ");
}

function came(name, doc) {
	if (pause.getAttribute("aria-pressed") === "true") {
		held.push([name, doc]);
		if (held.length > most) held.shift();
		return tell();
	}
	fresh.push([name, doc]);
	draw();
}

pause.addEventListener("click", () => {
	const on = pause.getAttribute("aria-pressed") !== "true";
	pause.setAttribute("aria-pressed", on);
	if (!on) {
		fresh.push(...held.splice(0));
		draw();
	}
});
document.getElementById("clear").addEventListener("click", () => { held = []; body.replaceChildren(); tell(); });
for (const control of [text, kind]) control.addEventListener("input", () => { for (const row of body.rows) row.hidden = !shown(row); });

follow("", { hidden: true, ...Object.fromEntries(["command", "result", "event", "status", "response", "ring", "door"].map(name => [name, doc => came(name, doc)])) });
