// Set-up: probes and installations on request, and what they found.

import { t, make, send, follow, say, answers, sentLines, fresh, connection } from "./console.js";

const sentHere = answers((place, response) => {
	place.replaceChildren(lines(response));
	say(response.action + ": " + response.code);
});

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
	const list = make("dl", { class: "press" }), result = make("dd", {}, "…");
	place.replaceChildren(list);
	button.disabled = true;
	try {
		const sent = await send("api/bridge/" + button.dataset.request, JSON.stringify({ phone: article.dataset.phone }));
		list.append(...sentLines(sent), make("dt", {}, t("Result")), result);
		sentHere.expect(sent, result);
	} catch (fault) {
		place.replaceChildren(make("p", { class: "bad", lang: "en" }, fault.message));
	}
	button.disabled = false;
});

// refresh shows what is missing now, and the phones that there are, and keeps the answers.
let waiting;
function refresh() {
	clearTimeout(waiting);
	waiting = setTimeout(async () => {
		const now = await fresh().catch(() => null);
		if (!now) return;
		const kept = new Map([...document.querySelectorAll("article[data-phone]")].map(one => [one.dataset.phone, one]));
		const articles = [...now.querySelectorAll("article[data-phone]")].map(is => {
			const one = kept.get(is.dataset.phone);
			if (!one) return document.adoptNode(is);
			one.querySelector("[data-part=checks]").replaceWith(document.adoptNode(is.querySelector("[data-part=checks]")));
			return one;
		});
		const same = articles.length === kept.size && articles.every(one => kept.get(one.dataset.phone) === one);
		if (!same) document.getElementById("setup").replaceChildren(...articles);
		document.getElementById("faulty").replaceWith(document.adoptNode(now.getElementById("faulty")));
	}, 500);
}

follow("?types=response,status,bridge", {
	start() { sentHere.missed(); refresh(); },
	bridge(is) {
		const words = document.getElementById("brokerwords");
		words.className = is.class;
		words.replaceChildren(...connection(is));
		if (is.reloaded) refresh();
	},
	status: refresh,
	response(response) {
		sentHere.came(response);
		refresh();
	},
});
