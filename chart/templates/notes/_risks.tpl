{{- /*
What is allowed and may still surprise: a line `- sentence` each, the reason and the way out in it. All
helpers take the root context. What cannot work at all is refused instead (contradictions/).
*/}}

{{- define "docker-registry.notes.risks" -}}
{{- include "docker-registry.notes.risks.store" . }}
{{- include "docker-registry.notes.risks.reach" . }}
{{- include "docker-registry.notes.risks.endpoint" . }}
{{- include "docker-registry.notes.risks.nodeTrust" . }}
{{- include "docker-registry.notes.risks.tls" . }}
{{- include "docker-registry.notes.risks.version" . }}
{{- include "docker-registry.notes.risks.pods" . }}
{{- include "docker-registry.notes.risks.missing" . }}
{{- end }}

{{- define "docker-registry.notes.risks.store" -}}
{{- $before := include "docker-registry.storeBefore" . }}
{{- $now := include "docker-registry.storeNow" . }}
{{- if and $before (ne $before $now) }}
- Until now the images were in {{ $before }}; the registry now looks for them in {{ $now }}, where they are only if you copied them. `helm rollback {{ .Release.Name }} -n {{ .Release.Namespace }}` goes back.
{{- end }}
{{- $volume := include "docker-registry.volumeKind" . }}
{{- $several := or .Values.autoscaling.enabled (gt (.Values.replicaCount | int) 1) }}
{{- if eq $volume "emptyDir" }}
- The images live in the pod and are gone with it. Set persistence.enabled: true.
{{- end }}
{{- if eq $volume "hostPath" }}
- The images are in {{ .Values.persistence.hostPath.path }} on the pod's node. The namespace must allow that: kubectl label namespace {{ include "docker-registry.namespace" . }} pod-security.kubernetes.io/enforce=privileged
{{- if not .Values.nodeSelector }}
- On another node the registry would begin with an empty folder. Set nodeSelector to that of the images.
{{- end }}
{{- end }}
{{- if and $several (eq $volume "claimTemplate") (not .Values.proxy.enabled) }}
- Each replica of the StatefulSet has a volume and images of its own: what is pushed to one is not at another. Set replicaCount: 1; or useStatefulSet: false with accessMode: ReadWriteMany; or object storage.
{{- else if and $several (or (eq $volume "emptyDir") (and (include "docker-registry.oneNode" .) (ne $volume "claimTemplate"))) }}
- Several replicas do not share this volume over several nodes, so each would have images of its own or wait for the volume. Use ReadWriteMany or object storage.
{{- end }}
{{- end }}

{{- define "docker-registry.notes.risks.reach" -}}
{{- $auth := include "docker-registry.auth" . }}
{{- $ways := include "docker-registry.notes.openWays" . | fromJsonArray }}
{{- if and $ways (not $auth) }}
- Anybody who reaches the {{ join " or the " $ways }} can pull{{ if not (include "docker-registry.tests.readOnly" .) }} and push{{ end }}. Set secrets.htpasswd, auth.token, or auth in configData.
{{- end }}
{{- if and .Values.secrets.htpasswd (not (regexMatch "(?m)^[^:#]+:[$]2[abxy]?[$]" (toString .Values.secrets.htpasswd))) }}
- secrets.htpasswd has no line of the form name:$2y$…, the only form that the registry takes, so nobody can log in. Make one: htpasswd -Bbn NAME PASSWORD
{{- end }}
{{- $plain := include "docker-registry.notes.plainWays" . | fromJsonArray }}
{{- if and $plain (eq $auth "htpasswd") }}
- Passwords cross the {{ join " and the " $plain }} unencrypted. Set {{ if has "Ingress" $plain }}ingress.tls{{ if gt (len $plain) 1 }} and {{ end }}{{ end }}{{ if without $plain "Ingress" }}tls.mode{{ end }}.
{{- end }}
{{- if and (eq (include "docker-registry.httpRoute.exists" .) "true") (eq (include "docker-registry.scheme" .) "https") }}
- The registry speaks HTTPS, so the Gateway must too: a BackendTLSPolicy for the Service {{ include "docker-registry.service.name" . }} says so (extraObjects takes one).
{{- end }}
{{- $existing := include "docker-registry.existingSecret" . }}
{{- if and $existing (not (include "docker-registry.htpasswd" .)) }}
{{- if dig "data" "htpasswd" "" (lookup "v1" "Secret" (include "docker-registry.namespace" .) $existing) }}
- The Secret {{ $existing }} has htpasswd, which is not in force. Set secrets.htpasswdRef.name: {{ $existing }}
{{- end }}
{{- end }}
{{- include "docker-registry.notes.risks.networkPolicy" . }}
{{- end }}

{{- /* docker-registry.notes.openWays: a JSON list of the ways from outside of the cluster that ask for no password. */}}
{{- define "docker-registry.notes.openWays" -}}
{{- $ways := list }}
{{- if and (eq (include "docker-registry.ingress.exists" .) "true") (not (regexMatch "(?i)auth|middleware|oidc" (keys .Values.ingress.annotations | join " "))) }}
{{- $ways = append $ways "Ingress" }}
{{- end }}
{{- if eq (include "docker-registry.httpRoute.exists" .) "true" }}
{{- $ways = append $ways "HTTPRoute" }}
{{- end }}
{{- /* What leads straight to a registry that wants clients' certificates is open to nobody else. */}}
{{- if and .Values.service.create (not (include "docker-registry.tls.clientsMust" .)) }}
{{- if has .Values.service.type (list "NodePort" "LoadBalancer") }}
{{- $ways = append $ways .Values.service.type }}
{{- end }}
{{- if .Values.service.externalIPs }}
{{- $ways = append $ways "externalIPs" }}
{{- end }}
{{- end }}
{{- toJson $ways }}
{{- end }}

{{- /* docker-registry.notes.plainWays: a JSON list of those that are not encrypted; a Gateway's is not ours to know. */}}
{{- define "docker-registry.notes.plainWays" -}}
{{- $ways := list }}
{{- if eq (include "docker-registry.ingress.exists" .) "true" }}
{{- range include "docker-registry.ingress.rules" . | fromJsonArray }}
{{- if eq (include "docker-registry.notes.ingressScheme" (list $ .host)) "http" }}
{{- $ways = append $ways "Ingress" | uniq }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.service.create (eq (include "docker-registry.scheme" .) "http") (has .Values.service.type (list "NodePort" "LoadBalancer")) }}
{{- $ways = append $ways .Values.service.type }}
{{- end }}
{{- toJson $ways }}
{{- end }}

{{- define "docker-registry.notes.risks.networkPolicy" -}}
{{- with .Values.networkPolicy }}
{{- if .enabled }}
- The NetworkPolicy counts only where the cluster's network enforces it; some do not, without a word.
{{- if and $.Values.metrics.enabled (not .allowExternal) (not .metricsFrom) }}
- The NetworkPolicy lets nobody read the metrics. Set networkPolicy.metricsFrom to where Prometheus runs.
{{- end }}
{{- $needs := list }}
{{- if ne $.Values.storage "filesystem" }}
{{- $needs = append $needs (printf "storage %s" $.Values.storage) }}
{{- end }}
{{- if $.Values.proxy.enabled }}
{{- $needs = append $needs (regexReplaceAll "//[^/@]*@" $.Values.proxy.remoteurl "//") }}
{{- end }}
{{- if eq (include "docker-registry.cacheKind" $) "redis" }}
{{- $needs = append $needs "Redis" }}
{{- end }}
{{- if and .egress.enabled (not .egress.rules) $needs }}
- The NetworkPolicy lets the registry reach name servers and itself alone, but it needs {{ join " and " $needs }}. Set networkPolicy.egress.rules.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.notes.risks.version: what an old registry means, and what leaving it behind means. On
an upgrade the cluster still has the workload of before: Helm tells this before it changes anything.
*/}}
{{- define "docker-registry.notes.risks.version" -}}
{{- $major := include "docker-registry.imageMajor" . }}
{{- $tag := include "docker-registry.text" .Values.image.tag }}
{{- if eq $major "2" }}
- image.tag is {{ $tag }}: registry 2 works, but gets no more fixes; 3 is the default. Its own `registry garbage-collect --delete-untagged` deletes images that an index needs (distribution #3178): never run it by hand. The collector of this chart keeps them, whatever garbageCollect.deleteUntagged says.
{{- end }}
{{- if eq $major "3" }}
{{- $before := include "docker-registry.notes.runningImage" . }}
{{- if regexMatch ":v?2([.-]|$)" $before }}
- {{ $before }} ran here before. Registry 3 no longer gives out manifests of Docker schema 1, which clients of before 2017 pushed: pull and push those images again with the old one, or set image.tag to its version.
{{- else if eq (include "docker-registry.configured" (list . "compatibility" "schema1" "enabled")) "true" }}
- configData.compatibility.schema1 means nothing to registry 3: images of Docker schema 1 can no longer be pulled. Set image.tag: 2.8.3 to keep them.
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.notes.runningImage: the image of the registry's container in the cluster, or nothing. */}}
{{- define "docker-registry.notes.runningImage" -}}
{{- if .Release.IsUpgrade }}
{{- $found := lookup "apps/v1" (include "docker-registry.workload.kind" .) (include "docker-registry.namespace" .) (include "docker-registry.fullname" .) }}
{{- range dig "spec" "template" "spec" "containers" list $found }}
{{- if eq .name $.Chart.Name }}{{ .image }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.notes.risks.pods" -}}
{{- if .Values.enableServiceLinks }}
- enableServiceLinks is true: a Service of the namespace called registry-… becomes a part of the registry's configuration (REGISTRY_…) at its next start. Set enableServiceLinks: false.
{{- end }}
{{- if and (eq (include "docker-registry.recreateLater" .) "true") (eq (toString .Values.updateStrategy.type) "Recreate") }}
- updateStrategy.type: Recreate comes into force with the next upgrade: the cluster refuses it in this one. Until then one pod ends before the next one starts all the same.
{{- end }}
{{- $folder := trimSuffix "/" .Values.configPath | default "/" }}
{{- if has $folder (list "/" "/bin" "/etc" "/etc/ssl" "/etc/ssl/certs" "/home" "/lib" "/root" "/sbin" "/tmp" "/usr" "/usr/bin" "/var" "/var/lib") }}
- configPath is {{ .Values.configPath }}, which hides all that the image has there. Set configPath: /etc/distribution
{{- end }}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- range $resource, $target := dict "cpu" .targetCPUUtilizationPercentage "memory" .targetMemoryUtilizationPercentage }}
{{- if and $target (not (dig "requests" $resource "" $.Values.resources)) }}
- autoscaling counts {{ $resource }} in percent of resources.requests.{{ $resource }}, which is not set, so it never scales by it. Set it, or empty autoscaling.target{{ ternary "CPU" "Memory" (eq $resource "cpu") }}UtilizationPercentage.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.notes.risks.missing (root context): what a pod of this release waits for. Only told: it
may come with this very upgrade. Not known where Helm sees no cluster.
*/}}
{{- define "docker-registry.notes.risks.missing" -}}
{{- if include "docker-registry.storeBefore" . }}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $secrets := pick (include "docker-registry.namesOfOthers" . | fromYaml) "existingSecret" "tlsSecretName" "tls.clientCA.secretRef" "secrets.haSharedSecretRef.name"
  "secrets.htpasswdRef.name" "garbageCollect.tokenRef.name" "proxy.secretRef" (printf "secrets.%s.secretRef" .Values.storage) }}
{{- range $path, $text := $secrets }}
{{- $name := include "docker-registry.renderedText" (list $ $text) }}
{{- if and $name (not (lookup "v1" "Secret" $namespace $name)) }}
- {{ $path }} is {{ $name }}, and the namespace {{ $namespace }} has no such Secret: the registry waits for it.
{{- end }}
{{- end }}
{{- with .Values.persistence.existingClaim }}
{{- $name := include "docker-registry.renderedText" (list $ .) }}
{{- if not (lookup "v1" "PersistentVolumeClaim" $namespace $name) }}
- persistence.existingClaim is {{ $name }}, and the namespace {{ $namespace }} has no such claim: the registry waits for it.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
