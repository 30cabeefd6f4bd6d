package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
)

type pod struct {
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func (p *pod) annotation(name string) string { return p.Metadata.Annotations[name] }

func (p *pod) path() string {
	return "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
}

// report writes the annotation network-status.
func (p *pod) report(conf *config, attached []networkStatus) error {
	text, err := json.MarshalIndent(attached, "", "    ")
	if err != nil {
		return err
	}
	patch := map[string]any{"metadata": map[string]any{
		"uid":         p.Metadata.UID,
		"annotations": map[string]any{"k8s.v1.cni.cncf.io/network-status": string(text)},
	}}
	_, err = request(conf, http.MethodPatch, p.path()+"/status", patch, nil)
	return err
}

// readPod reads the pod of the call; none if there is none of its uid.
func readPod(conf *config, args *skel.CmdArgs) (*pod, error) {
	given := arguments(args)
	found := &pod{}
	found.Metadata.Namespace, found.Metadata.Name = given["K8S_POD_NAMESPACE"], given["K8S_POD_NAME"]
	if found.Metadata.Name == "" {
		return nil, nil
	}
	there, err := request(conf, http.MethodGet, found.path(), nil, found)
	if err != nil || !there {
		return nil, err
	}
	// A static pod's mirror has a uid of its own.
	source, ok := found.Metadata.Annotations["kubernetes.io/config.source"]
	mirror := ok && source != "api"
	if found.Metadata.UID != given["K8S_POD_UID"] && !mirror {
		return nil, nil
	}
	return found, nil
}

// readDefinition reads the configuration of a NetworkAttachmentDefinition.
func readDefinition(conf *config, namespace, name string) (string, error) {
	var found struct {
		Spec struct {
			Config string `json:"config"`
		} `json:"spec"`
	}
	path := "/apis/k8s.cni.cncf.io/v1/namespaces/" + namespace + "/network-attachment-definitions/" + name
	there, err := request(conf, http.MethodGet, path, nil, &found)
	if err == nil && !there {
		err = fmt.Errorf("network-attachment-definition %s/%s is not there", namespace, name)
	}
	return found.Spec.Config, err
}

// request sends a request to the API server; false: it has no such object.
func request(conf *config, method, path string, body, into any) (bool, error) {
	client, server, token, err := connect(conf.Kubeconfig)
	if err != nil {
		return false, fmt.Errorf("%s: %w", conf.Kubeconfig, err)
	}
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return false, err
		}
	}
	wanted, err := http.NewRequest(method, server+path, &content)
	if err != nil {
		return false, err
	}
	wanted.Header.Set("Authorization", "Bearer "+token)
	wanted.Header.Set("Content-Type", "application/merge-patch+json")
	answer, err := client.Do(wanted)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return false, err
	case answer.StatusCode == http.StatusNotFound:
		return false, nil
	case answer.StatusCode >= 300:
		return false, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	case into == nil:
		return true, nil
	}
	return true, json.Unmarshal(text, into)
}

// connect reads a kubeconfig that has the certificate of its server and a token.
func connect(file string) (*http.Client, string, string, error) {
	var kubeconfig struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Token string `json:"token"`
			} `json:"user"`
		} `json:"users"`
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", "", err
	}
	if err := json.Unmarshal(text, &kubeconfig); err != nil {
		return nil, "", "", err
	}
	if len(kubeconfig.Clusters) != 1 || len(kubeconfig.Users) != 1 {
		return nil, "", "", fmt.Errorf("one cluster and one user are wanted")
	}
	cluster := kubeconfig.Clusters[0].Cluster
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cluster.CA)
	client := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	return client, cluster.Server, kubeconfig.Users[0].User.Token, nil
}
