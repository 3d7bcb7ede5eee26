// Set-up: probes and installations on request, and what they found.

import { t, make, send, follow, say } from "./console.js";

const places = new Map(); // of answers, by the id of their request

function lines(response) {
	const all = [make("p", { class: response.ok ? "good" : "bad" }, response.action + ": " + response.code + (response.message ? " – " + response.message : ""))];
	const data = response.data ?? {};
	const facts = Object.entries(data).filter(([name, value]) => name !== "advice" && value !== "" && value !== null && value?.length !== 0);
	if (facts.length) all.push(make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))])));
	if (data.advice?.length) all.push(make("ul", {}, ...data.advice.map(text => make("li", {}, text))));
	return make("div", { lang: "en" }, ...all);
}

document.addEventListener("click", async e => {
	const button = e.target.closest("button[data-request]");
	if (!button) return;
	const article = button.closest("article"), place = article.querySelector(".answers");
	place.replaceChildren("…");
	button.disabled = true;
	try {
		const sent = await send("api/bridge/" + button.dataset.request, JSON.stringify({ phone: article.dataset.phone }));
		places.set(sent.id, place);
		const first = early.get(sent.id);
		if (first) show(first);
	} catch (fault) {
		place.replaceChildren(make("p", { class: "bad" }, fault.message));
	}
	button.disabled = false;
});

const early = new Map(); // answers that came before the answer to the request
function show(response) {
	places.get(response.id)?.replaceChildren(lines(response));
	say(response.action + ": " + response.code);
}

follow("?types=response", {
	response(response) {
		early.set(response.id, response);
		if (early.size > 100) early.delete(early.keys().next().value);
		if (places.has(response.id)) show(response);
	},
});
