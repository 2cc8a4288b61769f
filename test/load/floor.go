// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// floor measures what nothing can be faster than here: a signature, a commit, a
// request.
func floor() error {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("payload"))
	rs := cpuOf(300, func() { rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, sum[:]) })
	es := cpuOf(3000, func() { ecdsa.SignASN1(rand.Reader, ecKey, sum[:]) })

	dir, err := os.MkdirTemp("", "calleridp-floor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := bbolt.Open(filepath.Join(dir, "floor.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return err
	}
	defer db.Close()
	n := uint64(0)
	write := func(many int) func() {
		return func() {
			db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("b"))
				if err != nil {
					return err
				}
				for range many {
					n++
					if err := b.Put(fmt.Appendf(nil, "%016x", n*2654435761), make([]byte, 400)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	begun := time.Now()
	commit := cpuOf(200, write(1))
	commitWall := time.Since(begun).Seconds() / 200
	batch := cpuOf(50, write(64)) / 64

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })}
	go web.Serve(l)
	defer web.Close()
	request := cpuOf(3000, func() {
		answer, err := http.Get("http://" + l.Addr().String())
		if err == nil {
			answer.Body.Close()
		}
	}) / 2 // half of it is the client's

	fmt.Println("floor, CPU each")
	fmt.Printf("  RS256 signature %.3f ms, ES256 %.3f ms\n", rs*1000, es*1000)
	fmt.Printf("  durable commit alone %.3f ms (%.2f ms wall), one of 64 together %.4f ms\n", commit*1000, commitWall*1000, batch*1000)
	fmt.Printf("  HTTP request %.3f ms\n", request*1000)
	fmt.Printf("  eight requests, five commits and one signature: RS256 %.2f ms, ES256 %.2f ms\n\n",
		(8*request+5*commit+rs)*1000, (8*request+5*commit+es)*1000)
	return nil
}

// cpuOf is the CPU seconds of this process for one run of f.
func cpuOf(n int, f func()) float64 {
	f()
	before := ownCPU()
	for range n {
		f()
	}
	return (ownCPU() - before) / float64(n)
}

func ownCPU() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec) + float64(u.Utime.Usec)/1e6 + float64(u.Stime.Sec) + float64(u.Stime.Usec)/1e6
}
