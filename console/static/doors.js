// The doors: rings, pictures and states as they come, and opening.

import { root, t, make, time, say, send, request, follow, answers, sentLines, outcome, inEnglish } from "./console.js";

const part = (door, name) => document.querySelector(`[data-door="${door}"] [data-part=${name}]`);
const sentHere = answers((place, result) => {
	place.replaceChildren(...outcome(result));
	say(result.command + ": " + result.code + " " + result.message);
});

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

document.addEventListener("click", async e => {
	const button = e.target.closest("button[data-open]");
	if (!button) return;
	const door = button.dataset.open, dryRun = button.dataset.dry !== undefined;
	const list = make("dl", { class: "press" }), result = make("dd", {}, "…");
	part(door, "answer").replaceChildren(list);
	try {
		const sent = await send(`api/send/${door}/open${dryRun ? "?dry_run=true" : ""}`, "");
		list.append(...sentLines(sent), make("dt", {}, dryRun ? t("Dry run") : t("Result")), result);
		sentHere.expect(sent, result);
	} catch (fault) {
		list.append(make("dd", { class: "bad" }, inEnglish(fault.message)));
	}
});

follow("?types=door,ring,door_image,result,bridge", {
	bridge(is) { if (is.reloaded) location.reload(); },
	async start() {
		sentHere.missed();
		for (const door of (await request("api/doors")).doors) show(door);
	},
	door: show,
	ring(ring) {
		part(ring.door, "ring")?.replaceChildren(time(ring.time));
		say(t("Ring") + ": " + ring.door);
	},
	door_image(image) { picture(image.door); },
	result: sentHere.came,
});
