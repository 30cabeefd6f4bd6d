// pause keeps a sandbox or a container running until a signal ends it: pause, or pause DURATION to end by itself, or pause
// stubborn to end by SIGKILL only.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "stubborn" {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		// Not select {}: without another goroutine that is a deadlock.
		for {
			time.Sleep(time.Hour)
		}
	}
	signals := make(chan os.Signal, 1)
	// The first process of a container ignores signals that it does not ask for.
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	var over <-chan time.Time
	if len(os.Args) > 1 {
		duration, err := time.ParseDuration(os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "pause:", err)
			os.Exit(2)
		}
		over = time.After(duration)
	}
	select {
	case <-signals:
	case <-over:
	}
}
