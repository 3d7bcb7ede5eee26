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

// request asks the API. A session that has ended leads to the login.
export async function request(path, options = {}) {
	const answer = await fetch(root + path, { ...options, headers: { "X-Requested-With": "console", ...options.headers } });
	if (answer.status === 401) {
		location.href = root + "login";
		throw new Error("unauthorized");
	}
	const text = await answer.text();
	let body;
	try { body = JSON.parse(text); } catch { body = { reason: text.slice(0, 200) }; }
	if (!answer.ok) throw new Error(body.reason || answer.statusText);
	return body;
}

// send sends a payload to a phone or to the bridge.
export function send(path, payload) {
	return request(path, { method: "POST", body: payload, headers: { "Content-Type": payload.startsWith("{") ? "application/json" : "text/plain" } });
}

// follow calls the functions of on, by kind, with what happens. on.start is called at every connection: what happened before
// is to be read then.
export function follow(query, on) {
	const light = document.getElementById("live");
	const show = state => {
		light.hidden = false;
		light.dataset.live = state;
		light.textContent = state === "on" ? t("live") : t("not live");
	};
	let source, again = 1000;
	const connect = () => {
		source = new EventSource(root + "api/live" + query);
		source.addEventListener("hello", () => { again = 1000; show("on"); on.start?.(); });
		for (const kind of Object.keys(on)) if (kind !== "start") source.addEventListener(kind, e => on[kind](JSON.parse(e.data)));
		source.onerror = () => {
			show("off");
			if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
			setTimeout(connect, again);
			again = Math.min(again * 2, 30000);
		};
	};
	connect();
	addEventListener("pagehide", () => source.close());
	addEventListener("pageshow", e => { if (e.persisted) connect(); });
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
