package config

// NumberOfVariables counts the variables that Load reads, those with a file beside them once.
func NumberOfVariables() int {
	return len(rows(variables{})) + len(rows(phoneVariables{})) - len(secretFiles())
}

func secretFiles() (names []string) {
	for _, list := range [][]row{rows(variables{}), rows(phoneVariables{})} {
		for i, r := range list {
			if i > 0 && r.name == list[i-1].name+"_FILE" {
				names = append(names, r.name)
			}
		}
	}
	return names
}

// PhonesFileExample is shown in docs/settings.md. Tests read it.
const PhonesFileExample = `phones:
  kitchen:
    url: http://192.0.2.10
    username: admin
    password_file: kitchen.password
    model: D735
  hall: {url: http://192.0.2.11, model: 320, dialect: old}
  door:
    url: https://door.example
    cert_sha256: 5f78c33274e43fa9de5659265c1d917e25c03722dcb0b8d27db8d5feaa813953
    allow: [reset]      # disabled elsewhere
    mask: [dtmf]        # the code that opens the door
groups:
  downstairs: [kitchen, hall]
paging:               # multicast addresses for announcements
  all: {address: "239.255.10.1:5004"}
  downstairs: {address: "239.255.10.2:5004", interrupt: 1, priority: 8, speaker: true}
`

// WithoutReader returns the settings alone.
func (m MQTT) WithoutReader() MQTT {
	m.reader = nil
	return m
}
