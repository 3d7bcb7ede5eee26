// The log as it comes.

import { make, follow, request, frame, send, say, answers, sentLines, outcome, inEnglish } from "./console.js";

const list = document.getElementById("log");
const text = document.getElementById("q"), level = document.getElementById("level"), pause = document.getElementById("pause");
const download = document.getElementById("download"), setLevel = document.getElementById("loglevel");
const most = 2000;
const sentHere = answers((place, response) => {
	place.replaceChildren(...outcome(response));
	say(response.action + ": " + response.code);
});
let last = Number(list.dataset.last), fresh = [];
const query = () => new URLSearchParams({ q: text.value, level: level.value });

const draw = frame(() => {
	if (pause.getAttribute("aria-pressed") === "true") return;
	list.append(...fresh.splice(0).slice(-most).map(line => make("li", { class: line.level }, line.text)));
	while (list.children.length > most) list.firstChild.remove();
});

const ranks = ["debug", "info", "warn", "error"];
function add(line) {
	if (line.number <= last) return;
	last = line.number;
	if (text.value && !line.text.toLowerCase().includes(text.value.toLowerCase())) return;
	if (level.value && ranks.indexOf(line.level) < ranks.indexOf(level.value)) return;
	fresh.push(line);
	if (fresh.length > most) fresh.shift();
	draw();
}

async function reload() {
	const found = await request("api/log?" + query());
	list.replaceChildren(...found.lines.map(line => make("li", { class: line.level }, line.text)));
	last = found.last;
	fresh = [];
	download.href = "log.txt?" + query();
}

let waiting;
for (const control of [text, level]) {
	control.addEventListener("input", () => {
		clearTimeout(waiting);
		waiting = setTimeout(reload, 200);
	});
}
text.form.addEventListener("submit", e => { e.preventDefault(); reload(); });
pause.addEventListener("click", () => {
	pause.setAttribute("aria-pressed", pause.getAttribute("aria-pressed") !== "true");
	draw();
});
setLevel.addEventListener("submit", async e => {
	e.preventDefault();
	const place = document.getElementById("answer"), result = make("dd", {}, "…");
	try {
		const sent = await send("api/bridge/log_level", JSON.stringify({ level: setLevel.elements.level.value }));
		place.replaceChildren(make("dl", { class: "press" }, ...sentLines(sent), result));
		sentHere.expect(sent, result);
	} catch (fault) {
		place.replaceChildren(inEnglish(fault.message));
	}
});

follow("?types=log,response,bridge", {
	response: sentHere.came,
	async start() {
		sentHere.missed();
		for (const line of (await request("api/log?after=" + last)).lines) add(line);
	},
	log: add,
});
