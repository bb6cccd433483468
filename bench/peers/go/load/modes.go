package main

import (
	"errors"
	"log"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// tally gathers what the workers of one run did.
type tally struct {
	lock      sync.Mutex
	found     result
	latencies []int64
}

func (t *tally) fail(err error) {
	t.lock.Lock()
	t.found.Errors++
	t.found.Problem = err.Error()
	t.lock.Unlock()
}

func (t *tally) add(requests, bytes int64, latencies []int64) {
	t.lock.Lock()
	t.found.Requests += requests
	t.found.Bytes += bytes
	t.latencies = append(t.latencies, latencies...)
	t.lock.Unlock()
}

func (t *tally) finish(elapsed time.Duration) result {
	slices.Sort(t.latencies)
	at := func(share float64) float64 {
		if len(t.latencies) == 0 {
			return 0
		}
		return float64(t.latencies[int(share*float64(len(t.latencies)-1))]) / 1000
	}
	t.found.Micros, t.found.P50, t.found.P99 = elapsed.Microseconds(), at(0.50), at(0.99)
	return t.found
}

// openAll opens n connections, 16 at a time, and does one request on each: what is measured then is warm.
func openAll(door *door, n int) []*client {
	clients := make([]*client, n)
	slots := make(chan struct{}, 16)
	var group sync.WaitGroup
	for i := range clients {
		slots <- struct{}{}
		group.Add(1)
		go func(i int) {
			defer group.Done()
			defer func() { <-slots }()
			opened, err := door.open()
			if err == nil {
				err = opened.exchange()
			}
			if err != nil {
				log.Fatalf("connection %d of %d: %v", i+1, n, err)
			}
			opened.bytes = 0
			clients[i] = opened
		}(i)
	}
	group.Wait()
	return clients
}

// runClosed keeps every connection busy: the next request follows the last response. Bytes of responses that the
// end cut off are counted, their requests are not.
func runClosed(door *door, n int, duration time.Duration) result {
	clients := openAll(door, n)
	ready()
	var tally tally
	var over atomic.Bool
	var group sync.WaitGroup
	begin := time.Now()
	for _, each := range clients {
		_ = each.connection.SetDeadline(begin.Add(duration + time.Minute))
		group.Add(1)
		go func(c *client) {
			defer group.Done()
			latencies := make([]int64, 0, 1<<12)
			for !over.Load() {
				start := time.Now()
				if err := c.exchange(); err != nil {
					if !over.Load() {
						tally.fail(err)
					}
					break
				}
				latencies = append(latencies, int64(time.Since(start)))
			}
			tally.add(int64(len(latencies)), c.bytes, latencies)
		}(each)
	}
	time.Sleep(duration)
	over.Store(true)
	elapsed := time.Since(begin)
	for _, each := range clients {
		_ = each.connection.SetDeadline(time.Now())
	}
	group.Wait()
	return tally.finish(elapsed)
}

// runSessions opens a connection for every request: CONNECT, a full TLS handshake, one GET, close.
func runSessions(door *door, n int, duration time.Duration) result {
	for _, each := range openAll(door, n) {
		each.connection.Close()
	}
	ready()
	var tally tally
	var group sync.WaitGroup
	begin := time.Now()
	for i := 0; i < n; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			var latencies []int64
			var bytes int64
			for time.Since(begin) < duration {
				start := time.Now()
				opened, err := door.open()
				if err == nil {
					err = opened.exchange()
					bytes += opened.bytes
					opened.connection.Close()
				}
				if err != nil {
					tally.fail(err)
					break
				}
				latencies = append(latencies, int64(time.Since(start)))
			}
			tally.add(int64(len(latencies)), bytes, latencies)
		}()
	}
	group.Wait()
	return tally.finish(time.Since(begin))
}

// runRate asks at fixed moments whether or not the answers keep up. Latency counts from the planned moment, so a
// stall is charged to every request that it delayed.
func runRate(door *door, n int, duration time.Duration, rate float64) result {
	clients := openAll(door, n)
	// The pacer sleeps in a system call and must not hold up the workers meanwhile.
	runtime.GOMAXPROCS(4)
	ready()
	total := int(rate * duration.Seconds())
	due := make(chan time.Time, total)
	var tally tally
	var group sync.WaitGroup
	begin := time.Now()
	for _, each := range clients {
		_ = each.connection.SetDeadline(begin.Add(duration + time.Minute))
		group.Add(1)
		go func(c *client) {
			defer group.Done()
			latencies := make([]int64, 0, 1<<10)
			for planned := range due {
				if err := c.exchange(); err != nil {
					tally.fail(err)
					break
				}
				latencies = append(latencies, int64(time.Since(planned)))
			}
			tally.add(int64(len(latencies)), c.bytes, latencies)
		}(each)
	}
	group.Add(1)
	go func() {
		defer group.Done()
		defer close(due)
		pace(begin, total, time.Duration(float64(time.Second)/rate), due)
	}()
	group.Wait()
	return tally.finish(time.Since(begin))
}

// pace sends the planned moments at those moments. time.Sleep rounds up to a millisecond when the process is
// otherwise idle, so this sleeps in nanosleep on a thread of its own, without the kernel's 50 µs of slack.
func pace(begin time.Time, total int, interval time.Duration, due chan<- time.Time) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const prSetTimerSlack = 29
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	for i := 0; i < total; i++ {
		planned := begin.Add(time.Duration(i) * interval)
		if wait := time.Until(planned); wait > 0 {
			pause := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&pause, nil)
		}
		due <- planned
	}
}

// runIdle holds connections that have each done one request; at the end it counts those still open.
func runIdle(door *door, n int) result {
	clients := openAll(door, n)
	ready()
	var tally tally
	var group sync.WaitGroup
	// A closed connection reads its end at once; an open one runs into the deadline that all of them share.
	deadline := time.Now().Add(300 * time.Millisecond)
	for _, each := range clients {
		_ = each.connection.SetDeadline(deadline)
		group.Add(1)
		go func(c *client) {
			defer group.Done()
			_, err := c.reader.ReadByte()
			if failure, ok := err.(net.Error); ok && failure.Timeout() {
				tally.add(1, 0, nil)
			} else {
				tally.fail(errors.New("an idle connection was closed"))
			}
		}(each)
	}
	group.Wait()
	return tally.finish(0)
}
