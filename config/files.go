package config

import (
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Sizes in bytes beyond which a file is not what it should be. Both are ours.
const (
	maxSmallFile  = 1 << 20  // a secret, a certificate
	maxPhonesFile = 16 << 20 // a hundred thousand phones
)

// content is a file as it was read, or why it was not.
type content struct {
	data  []byte
	fault string
}

// read returns what stands in a file, read once.
func (c *checker) read(path string, most int64) content {
	if known, ok := c.files[path]; ok {
		return known
	}
	data, fault := readFile(path, most)
	if c.files == nil {
		c.files = map[string]content{}
	}
	c.files[path] = content{data, fault}
	return c.files[path]
}

// readFile returns what stands in a file of at most the given size, or what is wrong with it. That text
// does not name the path: somebody may have written the secret where the path belongs.
func readFile(path string, most int64) (data []byte, fault string) {
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		data, err = io.ReadAll(io.LimitReader(file, most+1))
	}
	switch pathError := (*fs.PathError)(nil); {
	case errors.As(err, &pathError):
		return nil, "the file cannot be read: " + pathError.Err.Error()
	case err != nil:
		return nil, "the file cannot be read"
	case int64(len(data)) > most:
		return nil, "the file is too large"
	case len(data) == 0:
		return nil, "the file is empty"
	}
	return data, ""
}

// secret returns a secret given as text or in a file, from which one line end is taken off.
func (c *checker) secret(text, path field) Secret {
	if path.text == "" {
		return NewSecret(text.text)
	}
	if text.text != "" {
		c.fault(path, "given as well as the setting without file in its name: want one of the two")
		return Secret{}
	}
	file := c.read(path.text, maxSmallFile)
	if file.fault != "" {
		c.fault(path, "%s", file.fault)
		return Secret{}
	}
	line, ended := strings.CutSuffix(string(file.data), "\n")
	if ended {
		line = strings.TrimSuffix(line, "\r")
	}
	if line == "" {
		c.fault(path, "the file holds an empty line only")
	}
	return NewSecret(line)
}

// roots returns the PEM in a file of certificates.
func (c *checker) roots(path field) []byte {
	if path.text == "" {
		return nil
	}
	file := c.read(path.text, maxSmallFile)
	if file.fault != "" {
		c.fault(path, "%s", file.fault)
		return nil
	}
	if !x509.NewCertPool().AppendCertsFromPEM(file.data) {
		c.fault(path, "the file holds no certificate in PEM form")
		return nil
	}
	return file.data
}
