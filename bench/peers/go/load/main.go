// Command load does what wrk cannot: requests on kept connections inside CONNECT tunnels, new tunnels and TLS
// sessions, a fixed rate without coordinated omission, and connections that are held open and idle.
//
// It talks to the benchmark in lines: it prints {"ready":true} once its connections stand, waits for a line, does
// its work, prints one JSON line with the result, and ends when its standard input ends. CPU time can so be
// read exactly around the work.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"strings"
	"time"
)

// result is what one run found; latencies are in microseconds.
type result struct {
	Requests int64   `json:"requests"`
	Bytes    int64   `json:"bytes"`
	Errors   int64   `json:"errors"`
	Problem  string  `json:"problem,omitempty"`
	Micros   int64   `json:"micros"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

type headers []string

func (h *headers) String() string         { return strings.Join(*h, ", ") }
func (h *headers) Set(value string) error { *h = append(*h, value); return nil }

func main() {
	var extra headers
	mode := flag.String("mode", "closed", "closed, sessions, rate or idle")
	address := flag.String("url", "", "what to get")
	connect := flag.String("connect", "", "host:port of a forward proxy to CONNECT through")
	caFile := flag.String("ca", "", "PEM file of the CA to verify TLS against")
	connections := flag.Int("connections", 64, "connections (sessions: at once)")
	seconds := flag.Float64("seconds", 2, "how long to work")
	rate := flag.Float64("rate", 1000, "rate: requests a second over all connections")
	buffer := flag.Int("buffer", 16<<10, "bytes read at once")
	flag.Var(&extra, "header", "header line to send (repeatable)")
	flag.Parse()

	target, err := url.Parse(*address)
	if err != nil || target.Host == "" {
		log.Fatalf("-url %q is no absolute URL", *address)
	}
	door := &door{target: target, connect: *connect, token: os.Getenv("BENCH_TOKEN"), buffer: *buffer}
	door.request = []byte("GET " + target.RequestURI() + " HTTP/1.1\r\nHost: " + target.Host + "\r\n")
	for _, line := range extra {
		door.request = append(door.request, line+"\r\n"...)
	}
	door.request = append(door.request, "\r\n"...)
	if target.Scheme == "https" {
		door.tls = &tls.Config{ServerName: target.Hostname(), RootCAs: readRoots(*caFile), CurvePreferences: []tls.CurveID{tls.X25519}}
	}

	duration := time.Duration(*seconds * float64(time.Second))
	switch *mode {
	case "closed":
		report(runClosed(door, *connections, duration))
	case "sessions":
		report(runSessions(door, *connections, duration))
	case "rate":
		report(runRate(door, *connections, duration, *rate))
	case "idle":
		report(runIdle(door, *connections))
	default:
		log.Fatalf("unknown mode %q", *mode)
	}
}

var input = bufio.NewReader(os.Stdin)

// ready says that the connections stand and returns when the work may begin.
func ready() {
	fmt.Println(`{"ready":true}`)
	if _, err := input.ReadString('\n'); err != nil {
		os.Exit(1)
	}
}

// report prints the result and waits for the end of the input, so that closing the connections is not measured.
func report(found result) {
	line, err := json.Marshal(found)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	_, _ = io.Copy(io.Discard, input)
}

func readRoots(file string) *x509.CertPool {
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatalf("%s holds no certificate", file)
	}
	return roots
}
