// Command proxy is the yardstick of the benchmark: what a careful author gets from Go's standard library alone.
//
// In reverse mode it is an httputil.ReverseProxy in front of one upstream; in sidecar mode the request names its
// upstream in a header; in mitm mode it is a forward proxy that intercepts CONNECT. All demand a token, check an
// allow-list of 100 rules and inject a bearer header.
// It keeps no log and no metrics, which is in its favour.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	mode := flag.String("mode", "reverse", "reverse, sidecar or mitm")
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	upstream := flag.String("upstream", "", "reverse: base URL of the upstream; sidecar: the host and port that are allowed")
	plugin := flag.String("plugin", "none", "sidecar: none, fast (a header from a map) or slow (and a signature)")
	caFile := flag.String("ca", "", "PEM file of the CA that upstreams are verified against, and that signs leaves in mitm mode")
	caKeyFile := flag.String("ca-key", "", "mitm: PEM file of the CA's key")
	certFile := flag.String("cert", "", "reverse: certificate to serve TLS with (none: plain HTTP)")
	keyFile := flag.String("key", "", "reverse: key of that certificate")
	flag.Parse()

	// Environment rather than arguments, so that neither shows in the process list.
	token, secret := os.Getenv("BENCH_TOKEN"), os.Getenv("BENCH_SECRET")
	rules := benchRules()
	transport := newTransport(*caFile)

	listener, err := net.Listen("tcp", *listen)
	check(err)
	switch *mode {
	case "reverse":
		target, err := url.Parse(*upstream)
		check(err)
		server := &http.Server{Handler: reverseHandler(target, transport, rules, token, secret), ReadHeaderTimeout: time.Minute}
		if *certFile == "" {
			check(server.Serve(listener))
		}
		server.TLSConfig = &tls.Config{NextProtos: []string{"http/1.1"}}
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		check(server.ServeTLS(listener, *certFile, *keyFile))
	case "sidecar":
		handler := sidecarHandler(transport, benchAllowList(*upstream), *plugin, token, secret)
		check((&http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}).Serve(listener))
	case "mitm":
		authority, err := loadAuthority(*caFile, *caKeyFile)
		check(err)
		check(serveMITM(listener, authority, transport, rules, token, secret))
	default:
		log.Fatalf("unknown mode %q", *mode)
	}
}

// newTransport returns one pool for all requests. Its idle limit is far above the number of connections in any
// workload: with the default of two per host the yardstick would spend its time opening connections.
func newTransport(caFile string) *http.Transport {
	roots := x509.NewCertPool()
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		check(err)
		if !roots.AppendCertsFromPEM(pem) {
			log.Fatalf("%s holds no certificate", caFile)
		}
	}
	return &http.Transport{
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: 4096,
		IdleConnTimeout:     10 * time.Minute,
		DisableCompression:  true,
		ReadBufferSize:      32 << 10,
		WriteBufferSize:     32 << 10,
		TLSClientConfig:     &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(64), CurvePreferences: []tls.CurveID{tls.X25519}},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
