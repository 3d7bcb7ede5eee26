// What all pages use: texts, requests, what happens at the bridge, and times.

export const root = document.documentElement.dataset.root;
const german = document.documentElement.lang === "de" ? await (await fetch(root + "static/german.json")).json() : {};
document.documentElement.classList.add("js");

// t returns a text in the page's language.
export const t = english => german[english] ?? english;

// eventWords is the name of a kind of event for people.
export const eventWords = kind => t(kind.replaceAll("_", " "));

// make returns an element with attributes and content.
export function make(tag, attributes = {}, ...content) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== false) e.setAttribute(name, value);
	e.append(...content);
	return e;
}

// inEnglish returns an element that says a text which is English in every language.
export const inEnglish = text => make("span", { lang: "en" }, text);

// reason returns elements that say a text of the bridge, in the page's language if it is a usual one; empty: none.
export const reason = text => !text ? [] : german[text] ? [german[text]] : [inEnglish(text)];

// time returns an element that shows a moment in the browser's time zone.
export function time(iso) {
	const at = new Date(iso);
	const far = Math.abs(Date.now() - at) > 12 * 3600e3;
	return make("time", { datetime: iso }, far ? at.toLocaleString(document.documentElement.lang) : at.toLocaleTimeString(document.documentElement.lang, { hour12: false }));
}
for (const e of document.querySelectorAll("time")) e.replaceWith(time(e.dateTime));

// say has a screen reader say something.
export function say(text) {
	document.getElementById("said").textContent = text;
}

// login leads to the login, and from there back to this page.
function login() {
	const here = location.pathname.slice(new URL(root || "./", location.href).pathname.length) + location.search;
	location.href = root + "login?next=" + encodeURIComponent(here);
}

// request asks the API. A session that has ended leads to the login.
export async function request(path, options = {}) {
	const answer = await fetch(root + path, { ...options, headers: { "X-Requested-With": "console", ...options.headers } });
	if (answer.status === 401) {
		login();
		throw new Error("unauthorized");
	}
	const text = await answer.text();
	let body;
	try { body = JSON.parse(text); } catch { body = { reason: text.slice(0, 200) }; }
	if (!answer.ok) throw new Error(body.reason || answer.statusText);
	return body;
}

let isLive = false;

// send sends a payload to a phone or to the bridge. While the page is not live, it waits for the answer.
export function send(path, payload) {
	const headers = { "Content-Type": payload.startsWith("{") ? "application/json" : "text/plain" };
	if (!isLive) headers.Prefer = "wait=60";
	return request(path, { method: "POST", body: payload, headers });
}

// answers returns what brings the answers to what was sent from this page to their places, by show.
export function answers(show) {
	const places = new Map(), early = new Map(); // of those that are not answered; and answers that came before the answer to their press
	const came = answer => {
		const place = places.get(answer.id);
		if (place) {
			places.delete(answer.id);
			return show(place, answer);
		}
		early.set(answer.id, answer);
		if (early.size > 100) early.delete(early.keys().next().value);
	};
	return {
		came,
		expect(sent, place) {
			places.set(sent.id, place);
			const first = sent.results[0] ?? sent.responses[0] ?? early.get(sent.id);
			if (first) came(first);
		},
		missed() { // they may have come while the page was not live
			for (const place of places.values()) place.replaceChildren(t("The answer is not known: the page was not live."));
		},
	};
}

// sentLines shows what was sent, and what does the same.
export function sentLines(sent) {
	const line = (title, text) => [make("dt", {}, title), make("dd", {}, make("pre", {}, text), copyButton(text, title))];
	return [...line(t("Topic"), sent.topic), ...line(t("Payload"), sent.payload), ...line("mosquitto_pub", sent.mosquitto_pub), ...line("Home Assistant", sent.home_assistant)];
}

// outcome shows the answer to what was sent, and what the phone would have been asked.
export function outcome(answer) {
	const after = answer.requests ? t("after") + " " + (answer.queued_ms + answer.duration_ms) + " ms" : "";
	const parts = [answer.code, answer.message && inEnglish(answer.message), after].filter(Boolean);
	const all = [make("span", { class: answer.ok ? "good" : "bad" }, ...parts.flatMap((part, i) => i ? [" – ", part] : [part]))];
	if (answer.would?.length) all.push(make("pre", {}, answer.would.map(w => typeof w === "string" ? w : JSON.stringify(w)).join("\n")));
	return all;
}

// fresh returns this page as it is now.
export async function fresh() {
	const answer = await fetch(location.href);
	if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
	return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// turns has the last four tabs that asked follow what happens: a browser has six connections to a host, and they are needed for what is
// pressed, too. lost is called when this tab is none of them any more.
function turns(lost) {
	const channel = new BroadcastChannel("snom2mqtt"), most = 4, later = new Set();
	const id = sessionStorage.tab ??= String(Math.random());
	const say = gone => channel.postMessage({ id, gone });
	channel.onmessage = ({ data }) => {
		if (data.id === id) return;
		if (data.gone) later.delete(data.id);
		else if (later.add(data.id).size >= most) lost();
	};
	return { take() { later.clear(); say(false); }, leave() { say(true); } };
}

// connection says how the bridge stands with the broker. What a broker or the system says of it is English.
export function connection(is) {
	return is.detail ? [t(is.reason) + (is.takes_commands ? ", " : ": "), inEnglish(is.detail)] : [t(is.reason)];
}

// follow calls the functions of on, by kind, with what happens. on.start is called at every connection: what happened before
// is to be read then. A page that is not seen does not follow, unless on.hidden: a browser has few connections to one host.
export function follow(query, on) {
	const light = document.getElementById("live"), takes = document.getElementById("takes");
	const show = state => {
		isLive = state === "on";
		light.hidden = false;
		light.dataset.live = state;
		light.textContent = isLive ? t("live") : t("not live");
		takes.hidden = !isLive; // it is not known any more
	};
	const kinds = {
		...on,
		bridge(is) {
			takes.className = is.class;
			takes.replaceChildren(...connection(is));
			on.bridge?.(is);
		},
	};
	delete kinds.start;
	delete kinds.hidden;
	let source, later, reading, again = 1000;
	const connect = () => {
		clearTimeout(later);
		clearInterval(reading);
		turn.take();
		source = new EventSource(root + "api/live" + query);
		const mine = source;
		source.addEventListener("hello", async () => {
			again = 1000;
			try { await on.start?.(); } catch { return; } // it connects again, or leads to the login
			if (source === mine) show("on");
		});
		for (const kind of Object.keys(kinds)) source.addEventListener(kind, e => kinds[kind](JSON.parse(e.data)));
		source.onerror = () => {
			show("off");
			if (source?.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
			request("api/bridge").catch(() => {}); // leads to the login, if that is why
			clearTimeout(later);
			later = setTimeout(connect, again);
			again = Math.min(again * 2, 30000);
		};
	};
	const close = () => {
		clearTimeout(later);
		clearInterval(reading);
		source?.close();
		source = undefined;
		show("off");
	};
	const turn = turns(() => { // it reads now and then, until it is used again
		if (!source) return;
		close();
		reading = setInterval(async () => { try { await on.start?.(); } catch {} }, 5000);
	});
	for (const used of ["focus", "pointerdown", "keydown"]) addEventListener(used, () => { if (!source && !document.hidden) connect(); });
	if (on.hidden || !document.hidden) connect();
	document.addEventListener("visibilitychange", () => {
		if (on.hidden) return;
		if (document.hidden) {
			clearTimeout(later);
			later = setTimeout(() => { close(); turn.leave(); }, 500);
		} else if (source) clearTimeout(later);
		else connect();
	});
	addEventListener("pagehide", () => { close(); turn.leave(); });
	addEventListener("pageshow", e => { if (e.persisted && !source) connect(); });
}

// frame returns a function that has work done once in the next frame, however often it is called.
export function frame(work) {
	let planned = false;
	return () => {
		if (planned) return;
		planned = true;
		const run = () => { planned = false; work(); };
		if (document.hidden) setTimeout(run, 100);
		else requestAnimationFrame(run);
	};
}

// copyButton returns a button that copies a text.
export function copyButton(text, what) {
	const b = make("button", { type: "button", "aria-label": t("Copy") + ": " + what }, t("Copy"));
	b.onclick = async () => {
		try {
			await navigator.clipboard.writeText(text);
		} catch { // not over plain http to another machine
			const area = make("textarea", { readonly: "", class: "visually-hidden" });
			area.value = text;
			document.body.append(area);
			area.select();
			document.execCommand("copy");
			area.remove();
			b.focus();
		}
		b.textContent = t("Copied");
		say(t("Copied"));
		setTimeout(() => { b.textContent = t("Copy"); }, 1500);
	};
	return b;
}

// eventText is an event in words. The key of a call, which other events have, is not what happened.
export function eventText(event) {
	const key = event.event_type.startsWith("key_") && event.key;
	return [eventWords(event.event_type), party(event.remote), key, event.name, event.choice, event.text].filter(Boolean).join(" ");
}

// party is the other party of a call.
export function party(remote) {
	if (!remote) return "";
	const { name, number, uri } = remote;
	return name && number && name !== number ? name + " " + number : name || number || uri || "";
}

// stateOf is the word for a phone's state.
export function stateOf(status) {
	if (status.reachable === null) return "unknown";
	if (!status.reachable) return "offline";
	return status.call?.state ?? "online";
}

// stateCell shows a phone's state.
export function stateCell(status) {
	const word = stateOf(status);
	const cell = [make("span", { class: "state " + word }, t(word))];
	if (status.dnd) cell.push(" ", make("span", { class: "tag" }, t("do not disturb")));
	return cell;
}

// registration is a phone's registration in words.
export const registration = status => status.registered === null ? "" : t(status.registered ? "registered" : "not registered");
