// The doors: rings, pictures and states as they come, and opening.

import { root, t, make, time, say, send, request, follow, copyButton } from "./console.js";

const part = (door, name) => document.querySelector(`[data-door="${door}"] [data-part=${name}]`);
const answers = new Map(), early = new Map(); // places of results, and results that came before the answer to their press

function show(door) {
	const state = part(door.door, "state");
	if (!state) return;
	state.className = "state " + door.state;
	state.textContent = t(door.state);
	part(door.door, "ring").replaceChildren(door.last_ring ? time(door.last_ring) : "–");
	part(door.door, "opened").replaceChildren(door.last_opened ? time(door.last_opened) : "–");
	part(door.door, "call").textContent = door.call ? door.call.phone + " " + t(door.call.state) : "";
}

function picture(door) {
	const image = document.querySelector(`[data-door="${door}"] img`);
	if (!image) return;
	image.src = `${root}api/doors/${door}/image?${Date.now()}`;
	image.hidden = false;
}

function outcome(result) {
	answers.get(result.id)?.append(make("p", { class: result.ok ? "good" : "bad" }, [result.code, result.message].filter(Boolean).join(" – ")));
	say(result.command + ": " + result.code + " " + result.message);
}

document.addEventListener("click", async e => {
	const door = e.target.closest("button[data-open]")?.dataset.open;
	if (!door) return;
	const place = part(door, "answer");
	place.replaceChildren("…");
	try {
		const sent = await send(`api/send/${door}/open`, "");
		place.replaceChildren(make("pre", {}, sent.mosquitto_pub), copyButton(sent.mosquitto_pub, "mosquitto_pub"));
		answers.set(sent.id, place);
		if (early.has(sent.id)) outcome(early.get(sent.id));
	} catch (fault) {
		place.replaceChildren(make("p", { class: "bad" }, fault.message));
	}
});

follow("?types=door,ring,door_image,result", {
	async start() { for (const door of (await request("api/doors")).doors) show(door); },
	door: show,
	ring(ring) {
		part(ring.door, "ring")?.replaceChildren(time(ring.time));
		say(t("Ring") + ": " + ring.door);
	},
	door_image(image) { picture(image.door); },
	result(result) {
		early.set(result.id, result);
		if (early.size > 100) early.delete(early.keys().next().value);
		if (answers.has(result.id)) outcome(result);
	},
});
