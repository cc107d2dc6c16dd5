package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSConfig speaks TLS with a certificate that follows its files: a renewed one is
// used from the next minute on, without a restart. It is for whatever serves in the
// same way beside a ledger, such as a witness.
func TLSConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c, err := loadCertificate(certFile, keyFile, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.current}, nil
}

// certificate is read anew when its files change. mu guards what is below it.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	cert    *tls.Certificate
	stamp   [2]time.Time // modification times of the two files
	checked time.Time
}

func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("loading the TLS certificate: %w", err)
	}
	return c, nil
}

// current returns the newest certificate that loaded. A renewal that does not
// load leaves the old one in use and is told to the log.
func (c *certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= time.Minute {
		if err := c.load(); err != nil {
			c.checked = now
			c.log.Error("renewing the TLS certificate; the old one stays in use", "err", err)
		}
	}
	return c.cert, nil
}

func (c *certificate) load() error {
	var stamp [2]time.Time
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stamp[i] = info.ModTime()
	}
	if c.cert == nil || stamp != c.stamp {
		cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			return err
		}
		c.cert, c.stamp = &cert, stamp
	}
	c.checked = time.Now()
	return nil
}
