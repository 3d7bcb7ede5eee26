package config

import (
	"crypto/x509"
	"errors"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

// Sizes in bytes beyond which a file is not what it should be. Both are chosen by this project.
const (
	maxSmallFile  = 1 << 20  // a secret, a certificate
	maxPhonesFile = 16 << 20 // a hundred thousand phones
)

// content is a file as it was read, or why it was not.
type content struct {
	data  []byte
	fault string
}

// file returns what stands in a file, read once. After one file did not answer in time, others are not waited for: a
// thousand of them on a file server that is away would take hours.
func (c *checker) file(path string, limit int64) content {
	if known, ok := c.files[path]; ok {
		return known
	}
	if c.stuck {
		return content{fault: "the file was not read, since another one does not answer"}
	}
	var got content
	data, err := c.read(path, limit)
	if err != nil {
		got.fault = err.Error()
		c.stuck = errors.Is(err, textfile.ErrTimeout)
	} else {
		got.data = data
	}
	if c.files == nil {
		c.files = map[string]content{}
	}
	c.files[path] = got
	return got
}

// secret returns a secret given as text or in a file, which has one line.
func (c *checker) secret(text, path field) Secret {
	if path.text == "" {
		c.warn(text, text.text)
		return NewSecret(text.text)
	}
	if text.text != "" {
		c.fault(path, "given as well as the setting without file in its name: expected one of the two")
		return Secret{}
	}
	file := c.file(path.text, maxSmallFile)
	if file.fault != "" {
		c.fault(path, "%s", file.fault)
		return Secret{}
	}
	line, err := textfile.Line(file.data)
	if err != nil {
		c.fault(path, "%v", err)
		return Secret{}
	}
	c.warn(path, line)
	return NewSecret(line)
}

// pem returns a file of certificates or keys as text in UTF-8. The fault is empty, or says why there is none.
func (c *checker) pem(path field) (data []byte, fault string) {
	file := c.file(path.text, maxSmallFile)
	if file.fault != "" {
		return nil, file.fault
	}
	text, err := textfile.Text(file.data)
	if err != nil {
		return nil, "expected PEM, which is text: " + err.Error()
	}
	return []byte(text), ""
}

// roots returns the PEM in a file of certificates.
func (c *checker) roots(path field) []byte {
	if path.text == "" {
		return nil
	}
	data, fault := c.pem(path)
	if fault != "" {
		c.fault(path, "%s", fault)
		return nil
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		c.fault(path, "the file contains no certificate in PEM form")
		return nil
	}
	return data
}
