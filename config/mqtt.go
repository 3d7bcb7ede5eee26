package config

import (
	"crypto/tls"
	"crypto/x509"
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
}

// TLS reads the files of the settings and returns what they say, or an [*Error]. It is meant to be
// called for every connection, so that a renewed certificate counts from the next one on.
func (m MQTT) TLS() (*tls.Config, error) {
	var c checker
	config := m.tls(&c)
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
	at := func(key, path string) field { return field{environment(prefix), key, path} }
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
	cert, key := c.read(certFile.text, maxSmallFile), c.read(keyFile.text, maxSmallFile)
	if cert.fault != "" {
		c.fault(certFile, "%s", cert.fault)
	}
	if key.fault != "" && keyFile != certFile {
		c.fault(keyFile, "%s", key.fault)
	}
	if cert.fault != "" || key.fault != "" {
		return config
	}
	pair, err := tls.X509KeyPair(cert.data, key.data)
	if err != nil {
		c.fault(keyFile, "want a PEM file with the key that belongs to the certificate: %v", err)
		return config
	}
	config.Certificates = []tls.Certificate{pair}
	return config
}

// mqtt checks the settings of the broker.
func (c *checker) mqtt(v variables, at func(key, text string) field) MQTT {
	m := MQTT{
		Username:   c.line(at("MQTT_USERNAME", v.MQTTUsername), 1024),
		Password:   c.secret(at("MQTT_PASSWORD", v.MQTTPassword), at("MQTT_PASSWORD_FILE", v.MQTTPasswordFile)),
		ClientID:   c.line(at("MQTT_CLIENT_ID", v.MQTTClientID), 256),
		CAFile:     v.MQTTCAFile,
		CertFile:   v.MQTTCertFile,
		KeyFile:    v.MQTTKeyFile,
		ServerName: v.MQTTServerName,
		Insecure:   c.boolean(at("MQTT_INSECURE", v.MQTTInsecure)),
	}
	if v.MQTTUsername == "" && (v.MQTTPassword != "" || v.MQTTPasswordFile != "") {
		c.fault(at("MQTT_USERNAME", ""), "not set, but a password is: MQTT knows no password without a name")
	}
	if m.ServerName != "" && !validHost(m.ServerName) {
		c.fault(at("MQTT_SERVER_NAME", ""), "want the name of a host")
	}
	m.tls(c)

	const want = "tcp://host:port or ssl://host:port, or ws:// or wss:// with a path; the usual port may be left out"
	url := at("MQTT_URL", v.MQTTURL)
	a, ok := c.address(url, map[string]string{
		"tcp": "1883", "mqtt": "1883", "ssl": "8883", "mqtts": "8883", "ws": "80", "wss": "443"}, want)
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
		c.fault(url, "want %s", want)
	}
	if files := m.CAFile + m.CertFile + m.KeyFile; files != "" && !secure && v.BrokerListen == "off" {
		c.fault(url, "a certificate is set, but tcp and ws have none: want ssl or wss")
	}
	m.URL = a.String()
	return m
}
