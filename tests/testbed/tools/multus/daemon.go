package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"github.com/containernetworking/cni/pkg/skel"
)

// call is what the plugin passes to the daemon.
type call struct {
	Command string
	Args    skel.CmdArgs
}

// answer is what it gets back: what is to be printed, or what went wrong.
type answer struct {
	Result []byte
	Error  string
}

// serve runs the delegates of every call until it is ended.
func serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(func(to http.ResponseWriter, from *http.Request) {
		var asked call
		if err := json.NewDecoder(from.Body).Decode(&asked); err != nil {
			http.Error(to, err.Error(), http.StatusBadRequest)
			return
		}
		var reply answer
		result, err := do(asked.Command, &asked.Args)
		if err != nil {
			reply.Error = err.Error()
		}
		reply.Result = result
		_ = json.NewEncoder(to).Encode(reply)
	}))
}

// ask passes a call to the daemon.
func ask(socket, command string, args *skel.CmdArgs) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	body, err := json.Marshal(call{command, *args})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	response, err := client.Post("http://daemon/", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var reply answer
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return nil, err
	}
	if reply.Error != "" {
		return nil, fmt.Errorf("%s", reply.Error)
	}
	return reply.Result, nil
}
