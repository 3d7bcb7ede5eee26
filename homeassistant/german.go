package homeassistant

// germanNames are the names of entities in German, by their English names. Keys of the phone that are called by what is
// printed on them (F1, P1, DTMF) keep their names. Identifiers and topics are those of any language; the entity ids of
// entities that Home Assistant does not know yet are made of the German names.
func germanNames() map[string]string {
	return map[string]string{
		"Reachable": "Erreichbar", "Last result": "Letztes Ergebnis", "Problem": "Problem", "Firmware": "Firmware", "Firmware update": "Firmware-Aktualisierung", "Call state": "Anrufzustand",
		"Event": "Ereignis", "Last caller": "Letzter Anrufer", "Ringing": "Klingelt", "In call": "Im Gespräch", "Other party": "Gegenstelle",
		"Calls": "Anrufe", "Missed calls": "Verpasste Anrufe", "Handset lifted": "Hörer abgenommen", "Forwarding": "Umleitung aktiv",
		"Registered": "Registriert",

		"Answer": "Annehmen", "Hang up": "Auflegen", "Number to dial": "Zu wählende Nummer", "Dial": "Wählen", "Announce": "Durchsage", "DTMF to send": "Zu sendende Töne",
		"DTMF": "DTMF", "Transfer": "Weiterverbinden", "Press keys": "Tasten drücken", "Touch": "Berühren", "Ringer": "Klingelton",
		"Stop ringing": "Klingeln beenden", "Identify": "Identifizieren", "Do not disturb": "Nicht stören", "Keyboard lock": "Tastensperre",
		"Forward calls": "Anrufe umleiten", "Forward calls to": "Anrufe umleiten an", "Screen": "Bildschirm",
		"Take picture of screen": "Bildschirm aufnehmen", "Ask for state": "Zustand abfragen", "Toggle do not disturb": "Nicht stören umschalten", "Transfer to": "Weiterverbinden mit",
		"Complete transfer": "Weiterverbinden abschließen", "Cancel transfer": "Weiterverbinden abbrechen", "Keys to press": "Zu drückende Tasten",
		"Touch at": "Berühren bei",

		"OK": "OK", "Cancel": "Abbrechen", "Lift handset": "Hörer abnehmen", "Put down handset": "Hörer auflegen", "Up": "Nach oben",
		"Down": "Nach unten", "Left": "Nach links", "Right": "Nach rechts", "Volume up": "Lauter", "Volume down": "Leiser", "Mute": "Stumm",
		"Speaker": "Lautsprecher", "Headset": "Headset", "Redial": "Wahlwiederholung", "Hold": "Halten", "Transfer key": "Taste Weiterverbinden",
		"Record": "Aufnehmen", "Menu": "Menü", "F1": "F1", "F2": "F2", "F3": "F3", "F4": "F4",

		"Restart": "Neu starten", "Clear dialed calls": "Gewählte Anrufe löschen", "Clear missed calls": "Verpasste Anrufe löschen",
		"Clear received calls": "Empfangene Anrufe löschen", "Register identity 1 again": "Identität 1 neu registrieren",
		"Log off all identities": "Alle Identitäten abmelden", "Fix line info layer": "Zeilenanzeige reparieren",
		"Factory reset": "Werkseinstellungen", "Install firmware": "Firmware installieren",

		"Display": "Anzeige", "Close display": "Anzeige schließen", "Illuminance": "Beleuchtungsstärke", "Temperature": "Temperatur",
		"Message light": "Nachrichtenlampe", "light": "Lampe",

		"Connected": "Verbunden", "Phones": "Telefone", "Log level": "Protokollstufe", "Reload phones": "Telefone neu laden",
	}
}

// word is a word of an entity's name in the language of the names.
func (b Bridge) word(english string) string {
	if word := germanNames()[english]; b.Language == German && word != "" {
		return word
	}
	return english
}

// translate gives components their German names, where that is the language. The programmable keys keep theirs.
func (b Bridge) translate(all map[string]Component) map[string]Component {
	if b.Language != German {
		return all
	}
	names := germanNames()
	for key, c := range all {
		if name := names[c.Name]; name != "" {
			c.Name = name
			all[key] = c
		}
	}
	return all
}
