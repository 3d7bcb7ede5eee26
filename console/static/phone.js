// One phone: its state as it comes, its keypad, and what was sent from here.

import { root, t, eventWords, make, time, say, send, request, follow, frame, party, stateCell, registration, answers, sentLines, outcome, inEnglish, reason, eventText } from "./console.js";

const phone = document.getElementById("phone").dataset.phone;
const presses = document.getElementById("presses"), happenings = document.getElementById("happenings");
const hold = document.getElementById("hold"), dry = document.getElementById("dry");
const most = 30;
const sentHere = answers((place, result) => {
	place.replaceChildren(...outcome(result));
	say(result.command + ": " + result.code + " " + result.message);
});

const fact = name => document.querySelector(`[data-fact=${name}]`);

function showState(status) {
	const on = value => value === null || value === undefined ? "" : t(value ? "on" : "off");
	fact("state").replaceChildren(...stateCell(status));
	fact("party").textContent = party(status.call?.remote);
	fact("registration").textContent = registration(status);
	const problem = status.problem || (lockedOut ? "" : status.reachable === false && why);
	fact("problem").replaceChildren(...problem ? reason(problem) : lockedOut ? [t("refused the login")] : []);
	fact("remedy").replaceChildren(...reason(status.remedy));
	fact("lights").textContent = Object.keys(status.lights ?? {}).sort().map(key => key + " " + status.lights[key]).join(", ");
	fact("dnd").textContent = on(status.dnd);
	fact("forwarding").textContent = on(status.forwarding);
	fact("hook").textContent = status.hook ? t(status.hook === "on" ? "on the hook" : "off the hook") : "";
	fact("missed").textContent = status.missed ?? "";
	fact("caller").textContent = [status.last_caller?.name, status.last_caller?.number].filter(Boolean).join(" ");
	fact("model").textContent = status.model ?? "";
	fact("firmware").textContent = status.firmware ?? "";
	fact("mac").textContent = status.mac ?? "";
	for (const light of document.querySelectorAll("[data-light]")) {
		const is = status.lights?.[light.dataset.light] ?? "", [color, effect = ""] = is.split(" ");
		Object.assign(light.dataset, { color, effect });
		light.hidden = is === "";
		const key = light.parentElement;
		key.setAttribute("aria-label", key.dataset.words + (is === "" ? "" : ", " + t("light") + " " + is));
	}
	document.getElementById("status").textContent = JSON.stringify(status, null, 2);
}

let latest, why = "", lockedOut = false; // why it is not reachable, and whether it refused the login
const draw = frame(() => showState(latest));

function happened(...what) {
	happenings.prepend(make("li", {}, ...what));
	while (happenings.children.length > most) happenings.lastChild.remove();
}

// again is a button that says what the phone is asked for a press, without sending it.
function again(command, payload) {
	const button = make("button", { type: "button" }, t("Dry run"));
	button.addEventListener("click", () => press(command, payload, true));
	return button;
}

// entry shows a press first in their list, and returns the place for its lines.
function entry(command) {
	const list = make("dl", { class: "press" });
	document.getElementById("nothing").hidden = true;
	presses.prepend(make("li", {}, make("strong", {}, command), " ", time(new Date().toISOString()), list));
	while (presses.children.length > most) presses.lastChild.remove();
	return list;
}

async function press(command, payload, dryRun = dry.checked) {
	const result = make("dd", {}, "…"), list = entry(command);
	try {
		const sent = await send(`api/send/${phone}/${command}${dryRun ? "?dry_run=true" : ""}`, payload);
		list.append(...sentLines(sent), make("dt", {}, dryRun ? t("Dry run") : t("Result")), result);
		if (!dryRun) list.before(" ", again(command, payload));
		sentHere.expect(sent, result);
	} catch (fault) {
		list.append(make("dt", {}, t("Result")), make("dd", { class: "bad" }, inEnglish(fault.message)));
		say(fault.message);
	}
}

document.addEventListener("click", e => {
	const button = e.target.closest("button");
	if (!button) return;
	if (button.dataset.key && !hold.reportValidity()) return;
	if (button.dataset.key) press("key", button.dataset.key + (hold.value > 0 ? "," + Number(hold.value) : ""));
	else if (button.dataset.send) press(button.dataset.send, button.dataset.payload);
});

for (const form of document.querySelectorAll("form[data-command]")) {
	form.addEventListener("submit", e => {
		e.preventDefault();
		press(form.dataset.command, form.elements.argument.value.trim());
	});
}

document.getElementById("screen")?.addEventListener("click", async () => {
	const picture = document.getElementById("picture"), list = entry("screen"), result = make("dd", { class: "good" }, "ok");
	try {
		const answer = await fetch(`${root}api/phones/${phone}/screen`, { method: "POST", headers: { "X-Requested-With": "console" } });
		const sent = answer.headers.get("X-Press");
		if (sent) list.append(...sentLines(JSON.parse(decodeURIComponent(sent))));
		if (!answer.ok) throw new Error((await answer.json()).reason);
		URL.revokeObjectURL(picture.src);
		picture.src = URL.createObjectURL(await answer.blob());
		picture.hidden = false;
	} catch (fault) {
		picture.hidden = true;
		say(fault.message);
		result.className = "bad";
		result.replaceChildren(inEnglish(fault.message));
	}
	list.append(make("dt", {}, t("Result")), result);
});

const any = document.getElementById("any");
const help = () => {
	const chosen = any.elements.command.selectedOptions[0];
	document.getElementById("help").textContent = chosen.dataset.help;
	any.elements.payload.placeholder = chosen.dataset.example;
};
any.elements.command.addEventListener("change", help);
any.addEventListener("submit", e => {
	e.preventDefault();
	press(any.elements.command.value, any.elements.payload.value);
});
help();

// read asks for all that is known.
async function read() {
	const doc = await request("api/phones/" + phone);
	if (!latest || latest.time <= doc.status.time) latest = doc.status; // else something came while this was under way
	why = doc.why ?? "";
	lockedOut = doc.locked_out;
	draw();
	fact("waiting").textContent = doc.waiting;
	fact("seen").replaceChildren(doc.last_seen ? time(doc.last_seen) : "–");
	if (doc.last_event) fact("event").replaceChildren(eventWords(doc.last_event.event_type) + " ", time(doc.last_event.time));
}

// readSoon reads what is in no message: the commands that wait, the last answer, and why the phone is not reachable.
let planned;
function readSoon() {
	planned ??= setTimeout(() => {
		planned = undefined;
		read().catch(() => {}); // it is read again
	}, 300);
}
setInterval(() => { if (!document.hidden) readSoon(); }, 10000);

follow("?phone=" + phone, {
	async start() {
		await read();
		sentHere.missed();
	},
	command: readSoon,
	status(status) {
		latest = status;
		draw();
		readSoon();
	},
	event(event) {
		readSoon();
		fact("event").replaceChildren(eventWords(event.event_type) + " ", time(event.time));
		happened(time(event.time), " ", eventText(event));
	},
	result(result) {
		readSoon();
		sentHere.came(result);
		happened(time(result.time), " ", make("code", {}, result.command + " " + result.argument), " ", outcome(result)[0]);
	},
});
