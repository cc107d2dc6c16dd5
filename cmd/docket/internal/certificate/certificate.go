// Package certificate lets whoever serves TLS go on with a certificate whose files are
// renewed in place, as ACME clients do, without a restart.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Follow is a server's TLS with the certificate of these PEM files, which must load now:
// a renewed one is used within a minute.
func Follow(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	f := &followed{certFile: certFile, keyFile: keyFile, log: log}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("loading the TLS certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: f.current}, nil
}

// followed is a certificate that is read anew when its files change. mu guards what is
// below it.
type followed struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	cert    *tls.Certificate
	stamp   [2]time.Time // modification times of the two files
	checked time.Time
}

// current returns the newest certificate that loaded. A renewal that does not
// load leaves the old one in use and is told to the log.
func (f *followed) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked) >= time.Minute {
		if err := f.load(); err != nil {
			f.checked = now
			f.log.Error("renewing the TLS certificate; the old one stays in use", "err", err)
		}
	}
	return f.cert, nil
}

func (f *followed) load() error {
	var stamp [2]time.Time
	for i, name := range []string{f.certFile, f.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stamp[i] = info.ModTime()
	}
	if f.cert == nil || stamp != f.stamp {
		cert, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return err
		}
		f.cert, f.stamp = &cert, stamp
	}
	f.checked = time.Now()
	return nil
}
