// Command oracle answers questions about audit policies with the upstream code itself.
//
// It reads one JSON object a line and writes one a line, in order. Fields whose bytes matter
// travel as base64, because a policy file or a request line need not be UTF-8.
//
//	{"op":"load","id":"p","policy":B64}            -> {"ok":true,"rules":2,"policy":{...},"warnings":[...]} | {"error":"..."}
//	{"op":"evaluate","id":"p","attributes":{...}}  -> {"rule":0,"level":"Metadata","omitStages":[...],"omitManagedFields":false}
//	{"op":"attributes","method":"GET","uri":B64}   -> {"attributes":{...}} | {"error":"..."}
//	{"op":"yaml","text":B64}                       -> {"json":{...}} | {"error":"..."}   (sigs.k8s.io/yaml)
//
// The evaluator does not say which rule decided, so each rule carries a stage of its own making.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	auditpolicy "k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
)

const ruleMark = "rule-"

// Attributes are the command line's own keys; User is nil for a request without a user.
type Attributes struct {
	User            *string  `json:"user,omitempty"`
	Groups          []string `json:"groups,omitempty"`
	Verb            string   `json:"verb"`
	Namespace       string   `json:"namespace"`
	APIGroup        string   `json:"apiGroup"`
	APIVersion      string   `json:"apiVersion"`
	Resource        string   `json:"resource"`
	Subresource     string   `json:"subresource"`
	Name            string   `json:"name"`
	Path            string   `json:"path"`
	ResourceRequest bool     `json:"resourceRequest"`
}

type question struct {
	Op         string      `json:"op"`
	ID         string      `json:"id"`
	Policy     []byte      `json:"policy"`
	Text       []byte      `json:"text"`
	URI        []byte      `json:"uri"`
	Method     string      `json:"method"`
	Attributes *Attributes `json:"attributes"`
}

type oracle struct {
	evaluators map[string]audit.PolicyRuleEvaluator
	loading    bool
	warnings   []string
}

func main() {
	o := &oracle{evaluators: map[string]audit.PolicyRuleEvaluator{}}
	listen(o)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			reply, marshalErr := json.Marshal(o.answer(line))
			if marshalErr != nil {
				fmt.Fprintln(os.Stderr, "oracle:", marshalErr)
				os.Exit(1)
			}
			out.Write(append(reply, '\n'))
			if in.Buffered() == 0 {
				out.Flush()
			}
		}
		if err != nil {
			out.Flush()
			return
		}
	}
}

// listen sends klog's lines to the oracle alone, each once.
func listen(o *oracle) {
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"} {
		if err := flags.Set(name, value); err != nil {
			panic(err)
		}
	}
	klog.SetOutput(o)
}

// Write keeps klog's lines about the policy being loaded: the only trace of a strict decoding error.
func (o *oracle) Write(line []byte) (int, error) {
	if o.loading {
		o.warnings = append(o.warnings, strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

func (o *oracle) answer(line []byte) any {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return failure(err)
	}
	switch q.Op {
	case "load":
		return o.load(q)
	case "evaluate":
		return o.evaluate(q)
	case "attributes":
		return attributes(q)
	case "yaml":
		text, err := yaml.YAMLToJSON(q.Text)
		if err != nil {
			return failure(err)
		}
		return map[string]any{"json": json.RawMessage(text)}
	}
	return failure(fmt.Errorf("no such op %q", q.Op))
}

func failure(err error) any { return map[string]any{"error": err.Error()} }

func (o *oracle) load(q question) any {
	o.warnings, o.loading = []string{}, true
	policy, err := auditpolicy.LoadPolicyFromBytes(q.Policy)
	klog.Flush()
	o.loading = false
	if err != nil {
		return map[string]any{"error": err.Error(), "warnings": o.warnings}
	}
	reply := map[string]any{"ok": true, "rules": len(policy.Rules), "warnings": o.warnings, "policy": plain(policy)}
	for i := range policy.Rules {
		policy.Rules[i].OmitStages = append(policy.Rules[i].OmitStages, auditinternal.Stage(ruleMark+strconv.Itoa(i)))
	}
	o.evaluators[q.ID] = auditpolicy.NewPolicyRuleEvaluator(policy)
	return reply
}

// plain is the policy as the server understood it, with the file's own field names.
func plain(policy *auditinternal.Policy) any {
	rules := []any{}
	for _, r := range policy.Rules {
		resources := []any{}
		for _, g := range r.Resources {
			resources = append(resources, map[string]any{
				"group": g.Group, "resources": list(g.Resources), "resourceNames": list(g.ResourceNames)})
		}
		rules = append(rules, map[string]any{
			"level": r.Level, "users": list(r.Users), "userGroups": list(r.UserGroups), "verbs": list(r.Verbs),
			"resources": resources, "namespaces": list(r.Namespaces), "nonResourceURLs": list(r.NonResourceURLs),
			"omitStages": list(r.OmitStages), "omitManagedFields": r.OmitManagedFields})
	}
	return map[string]any{"rules": rules, "omitStages": list(policy.OmitStages), "omitManagedFields": policy.OmitManagedFields}
}

func list[T ~string](values []T) []T { return append([]T{}, values...) }

func (o *oracle) evaluate(q question) any {
	evaluator, ok := o.evaluators[q.ID]
	if !ok || q.Attributes == nil {
		return failure(fmt.Errorf("no policy %q, or no attributes", q.ID))
	}
	a := q.Attributes
	record := authorizer.AttributesRecord{
		Verb: a.Verb, Namespace: a.Namespace, APIGroup: a.APIGroup, APIVersion: a.APIVersion, Resource: a.Resource,
		Subresource: a.Subresource, Name: a.Name, ResourceRequest: a.ResourceRequest, Path: a.Path}
	if a.User != nil {
		record.User = &user.DefaultInfo{Name: *a.User, Groups: a.Groups}
	}
	config := evaluator.EvaluatePolicyRule(record)
	rule := any(nil)
	stages := []string{}
	for _, stage := range config.OmitStages {
		if mark, found := strings.CutPrefix(string(stage), ruleMark); found {
			index, _ := strconv.Atoi(mark)
			rule = index
		} else {
			stages = append(stages, string(stage))
		}
	}
	sort.Strings(stages)
	return map[string]any{"rule": rule, "level": config.Level, "omitStages": stages, "omitManagedFields": config.OmitManagedFields}
}

var requestInfo = &request.RequestInfoFactory{
	APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

func attributes(q question) any {
	parsed, err := url.ParseRequestURI(string(q.URI))
	if err != nil {
		return failure(err)
	}
	info, err := requestInfo.NewRequestInfo(&http.Request{Method: q.Method, URL: parsed})
	if err != nil {
		return failure(err)
	}
	return map[string]any{"attributes": Attributes{
		Verb: info.Verb, Namespace: info.Namespace, APIGroup: info.APIGroup, APIVersion: info.APIVersion,
		Resource: info.Resource, Subresource: info.Subresource, Name: info.Name, Path: info.Path,
		ResourceRequest: info.IsResourceRequest}}
}
