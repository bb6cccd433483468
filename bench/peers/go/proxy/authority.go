package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"time"
)

// authority signs one leaf per name, all with the same P-256 key, and keeps them.
type authority struct {
	issuer *x509.Certificate
	signer any
	key    *ecdsa.PrivateKey
	lock   sync.RWMutex
	leaves map[string]*tls.Certificate
}

func loadAuthority(certFile, keyFile string) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	issuer, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &authority{issuer: issuer, signer: pair.PrivateKey, key: key, leaves: map[string]*tls.Certificate{}}, nil
}

// leaf returns the certificate for name, minted on first use. Two first uses at once may mint twice; one wins.
func (a *authority) leaf(name string) (*tls.Certificate, error) {
	a.lock.RLock()
	known := a.leaves[name]
	a.lock.RUnlock()
	if known != nil {
		return known, nil
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(7 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.issuer, a.key.Public(), a.signer)
	if err != nil {
		return nil, err
	}
	minted := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
	a.lock.Lock()
	a.leaves[name] = minted
	a.lock.Unlock()
	return minted, nil
}
