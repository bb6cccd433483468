package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// door knows how to reach the target and what to say there.
type door struct {
	target  *url.URL
	connect string
	token   string
	tls     *tls.Config
	buffer  int
	request []byte
}

// client is one connection. It parses only what servers of this benchmark send, and allocates nothing per request.
type client struct {
	door       *door
	connection net.Conn
	reader     *bufio.Reader
	bytes      int64
}

func (d *door) open() (*client, error) {
	address := d.connect
	if address == "" {
		address = d.target.Host
	}
	connection, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	// A stuck server must end as an error in the table, never as a benchmark that hangs.
	_ = connection.SetDeadline(time.Now().Add(60 * time.Second))
	if d.connect != "" {
		if err := d.tunnel(connection); err != nil {
			connection.Close()
			return nil, err
		}
	}
	if d.tls != nil {
		session := tls.Client(connection, d.tls)
		if err := session.Handshake(); err != nil {
			connection.Close()
			return nil, err
		}
		connection = session
	}
	return &client{door: d, connection: connection, reader: bufio.NewReaderSize(connection, d.buffer)}, nil
}

// tunnel reads byte by byte up to the empty line: what follows belongs to TLS.
func (d *door) tunnel(connection net.Conn) error {
	proof := base64.StdEncoding.EncodeToString([]byte("bench:" + d.token))
	const head = "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic %s\r\n\r\n"
	if _, err := fmt.Fprintf(connection, head, d.target.Host, d.target.Host, proof); err != nil {
		return err
	}
	answer := make([]byte, 0, 256)
	for one := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); answer = append(answer, one[0]) {
		if _, err := connection.Read(one); err != nil {
			return err
		}
	}
	if len(answer) < 12 || string(answer[9:12]) != "200" {
		return fmt.Errorf("CONNECT was answered %q", answer[:bytes.IndexByte(answer, '\r')])
	}
	return nil
}

// exchange sends the request and reads the whole response. Body bytes are counted as they arrive.
func (c *client) exchange() error {
	if _, err := c.connection.Write(c.door.request); err != nil {
		return err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || string(line[9:12]) != "200" {
		return fmt.Errorf("status line %q", bytes.TrimSpace(line))
	}
	length, chunked := int64(-1), false
	for {
		line, err = c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if value, ok := field(line, "content-length"); ok {
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return err
			}
		} else if value, ok := field(line, "transfer-encoding"); ok {
			chunked = string(value) == "chunked"
		}
	}
	switch {
	case chunked:
		return c.discardChunks()
	case length >= 0:
		return c.discard(length)
	default:
		return errors.New("a response without framing")
	}
}

func field(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

func (c *client) discardChunks() error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return err
		}
		if err := c.discard(size); err != nil {
			return err
		}
		if _, err := c.reader.Discard(2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

func (c *client) discard(length int64) error {
	for length > 0 {
		step := int64(c.reader.Size())
		if step > length {
			step = length
		}
		dropped, err := c.reader.Discard(int(step))
		c.bytes += int64(dropped)
		length -= int64(dropped)
		if err != nil {
			return err
		}
	}
	return nil
}
