package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// MQTT says how to reach the broker.
type MQTT struct {
	URL      string // scheme tcp, ssl, ws or wss, a host, a port; for ws and wss a path; nothing secret
	Username string
	Password Secret
	ClientID string // empty: the program makes one

	CAFile     string // PEM; replaces the roots of the system
	CertFile   string // PEM; the client's certificate
	KeyFile    string // PEM; its key; empty: CertFile holds it
	ServerName string // the name the broker's certificate must bear; empty: the URL's host
	Insecure   bool   // the broker's certificate is not checked at all

	reader *textfile.Reader // of the files; nil: one of its own
}

// TLS reads the files of the settings and returns what they say, or an [*Error]. It is meant to be
// called for every connection, so that a renewed certificate counts from the next one on.
func (m MQTT) TLS() (*tls.Config, error) {
	reader := m.reader
	if reader == nil {
		reader = &textfile.Reader{}
	}
	c := newChecker(context.Background(), reader) // the reader has a limit of its own
	config := m.tls(c)
	if err := c.err(); err != nil {
		return nil, err
	}
	return config, nil
}

func (m MQTT) tls(c *checker) *tls.Config {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         m.ServerName,
		InsecureSkipVerify: m.Insecure, // off unless the owner of the broker says so
	}
	at := func(key, path string) field { return field{in: environment(prefix), key: key, text: path} }
	if m.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(c.roots(at("MQTT_CA_FILE", m.CAFile)))
	}
	if m.CertFile == "" {
		if m.KeyFile != "" {
			c.fault(at("MQTT_CERT_FILE", ""), "not set, but MQTT_KEY_FILE is")
		}
		return config
	}
	certFile, keyFile := at("MQTT_CERT_FILE", m.CertFile), at("MQTT_KEY_FILE", m.KeyFile)
	if m.KeyFile == "" {
		keyFile = certFile
	}
	cert, certFault := c.pem(certFile)
	key, keyFault := c.pem(keyFile)
	if certFault != "" {
		c.fault(certFile, "%s", certFault)
	}
	if keyFault != "" && keyFile != certFile {
		c.fault(keyFile, "%s", keyFault)
	}
	if certFault != "" || keyFault != "" {
		return config
	}
	if encrypted(key) {
		c.fault(keyFile, "the key is encrypted, and there is no setting for its passphrase: expected a key without one, as "+
			"openssl pkey -in encrypted.pem -out key.pem writes it")
		return config
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		c.fault(keyFile, "expected a PEM file with the key that belongs to the certificate: %v", err)
		return config
	}
	config.Certificates = []tls.Certificate{pair}
	return config
}

// encrypted reports whether the first private key of a PEM file needs a passphrase: PKCS #8 (RFC 5958), or the older form
// of OpenSSL.
func encrypted(data []byte) bool {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
		}
	}
	return false
}

const expectedMQTT = "tcp://host:port or ssl://host:port, or ws:// or wss:// with a path; the usual port may be left out"

// mqtt checks the settings of the broker.
func (c *checker) mqtt(v variables) MQTT {
	m := MQTT{
		Username:   c.line(v.MQTTUsername, 1024),
		Password:   c.secret(v.MQTTPassword, v.MQTTPasswordFile),
		ClientID:   c.line(v.MQTTClientID, 256),
		CAFile:     v.MQTTCAFile.text,
		CertFile:   v.MQTTCertFile.text,
		KeyFile:    v.MQTTKeyFile.text,
		ServerName: v.MQTTServerName.text,
		Insecure:   c.boolean(v.MQTTInsecure),
	}
	if m.Username == "" && (v.MQTTPassword.text != "" || v.MQTTPasswordFile.text != "") {
		c.fault(v.MQTTUsername, "not set, but a password is: MQTT has no password without a user name")
	}
	if m.ServerName != "" && !snom.ValidHost(m.ServerName) {
		c.fault(v.MQTTServerName, "expected the name of a host")
	}
	m.tls(c)
	a, ok := c.address(v.MQTTURL, map[string]string{
		"tcp": "1883", "mqtt": "1883", "ssl": "8883", "mqtts": "8883", "ws": "80", "wss": "443"}, expectedMQTT)
	if !ok {
		return m
	}
	switch a.scheme {
	case "mqtt":
		a.scheme = "tcp"
	case "mqtts":
		a.scheme = "ssl"
	}
	secure := a.scheme == "ssl" || a.scheme == "wss"
	if a.path != "" && (a.scheme == "tcp" || a.scheme == "ssl") {
		c.fault(v.MQTTURL, "expected %s", expectedMQTT)
	}
	if files := m.CAFile + m.CertFile + m.KeyFile; files != "" && !secure && v.BrokerListen.text == "off" {
		c.fault(v.MQTTURL, "a certificate is set, but tcp and ws have none: expected ssl or wss")
	}
	if external := v.BrokerListen.text == "off"; external && (a.scheme == "ssl" && a.port == "1883" || a.scheme == "tcp" && a.port == "8883") {
		c.warnings.add(v.MQTTURL.where(), "port 1883 is usually for tcp, and 8883 for ssl")
	}
	m.URL = a.String()
	return m
}
