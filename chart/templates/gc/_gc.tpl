{{- /*
The collector's container and what it has besides what the registry's container has.
*/}}

{{- define "docker-registry.gc.tokenFolder" -}}
/var/run/secrets/docker-registry-gc
{{- end }}

{{- define "docker-registry.gc.port" -}}
5002
{{- end }}

{{- /*
docker-registry.gc.tokenVolume (root context): what the hook shows and the collector wants to see: the
Secret of this release, or the user's own.
*/}}
{{- define "docker-registry.gc.tokenVolume" -}}
- name: gc-token
  secret:
    {{- with .Values.garbageCollect.tokenRef }}
    {{- if .name }}
    secretName: {{ include "docker-registry.renderedText" (list $ .name) | quote }}
    items:
      - key: {{ .key | quote }}
        path: token
    {{- else }}
    secretName: {{ include "docker-registry.gc.name" $ | quote }}
    {{- end }}
    {{- end }}
{{- end }}

{{- /*
docker-registry.gc.hookEnv (root context): of the CronJob's container.
*/}}
{{- define "docker-registry.gc.hookEnv" -}}
{{- $gc := .Values.garbageCollect }}
{{- $own := list
  (dict "name" "GC_NAMESPACE" "value" (include "docker-registry.namespace" .))
  (dict "name" "GC_PORT" "value" (include "docker-registry.gc.port" .))
  (dict "name" "GC_SELECTOR" "value" (printf "app=%s,release=%s" (include "docker-registry.name" .) .Release.Name))
  (dict "name" "GC_TIMEOUT" "value" (include "docker-registry.text" $gc.hook.timeout))
  (dict "name" "GC_TOKEN_FILE" "value" (printf "%s/token" (include "docker-registry.gc.tokenFolder" .))) }}
{{- if $gc.hook.events }}
{{- $own = append $own (dict "name" "GC_EVENTS_ABOUT" "value" (include "docker-registry.events.about" .)) }}
{{- end }}
{{- if eq (include "docker-registry.gc.readOnly" .) "true" }}
{{- $own = concat $own (list
  (dict "name" "GC_MODE" "value" (include "docker-registry.gc.mode.name" .))
  (dict "name" "GC_POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "GC_READ_ONLY" "value" "true")
  (dict "name" "GC_READ_ONLY_EXPIRES" "value" (include "docker-registry.text" $gc.readOnlyExpires))
  (dict "name" "GC_READ_ONLY_TIMEOUT" "value" (include "docker-registry.text" $gc.readOnlyTimeout))
  (dict "name" "GC_RELEASE" "value" .Release.Name)) }}
{{- end }}
{{- include "docker-registry.env.withExtra" (list . $own $gc.extraEnvVars) }}
{{- end }}

{{- define "docker-registry.gc.volumes" -}}
{{- include "docker-registry.gc.tokenVolume" . }}
{{- if not (include "docker-registry.mountsTmp" .) }}
- name: gc-tmp
  emptyDir: {}
{{- end }}
{{- end }}

{{- /* docker-registry.gc.tmpMount (root context): the root file system is read-only. */}}
{{- define "docker-registry.gc.tmpMount" -}}
{{- if not (include "docker-registry.mountsTmp" .) }}
- name: gc-tmp
  mountPath: /tmp
{{- end }}
{{- end }}

{{- /* docker-registry.mountsTmp (root context): whether the user mounts a folder at /tmp, which two cannot. */}}
{{- define "docker-registry.mountsTmp" -}}
{{- range .Values.extraVolumeMounts }}
{{- if eq (include "docker-registry.renderedText" (list $ .mountPath) | trimSuffix "/") "/tmp" }}true{{ end }}
{{- end }}
{{- end }}

{{- /* docker-registry.gc.optionsEnv (root context): the options of `registry-gc collect`, by the same names. */}}
{{- define "docker-registry.gc.optionsEnv" -}}
{{- range $name, $value := dict
  "GC_DELETE_UNTAGGED" .Values.garbageCollect.deleteUntagged
  "GC_GRACE_PERIOD" .Values.garbageCollect.gracePeriod
  "GC_MAX_DELETE_RATIO" .Values.garbageCollect.maxDeleteRatio
  "GC_QUARANTINE" .Values.garbageCollect.quarantine
  "GC_RESTART" .Values.garbageCollect.restart
  "GC_SETTLE_PERIOD" .Values.garbageCollect.settlePeriod
  "GC_UPLOAD_GRACE_PERIOD" .Values.garbageCollect.uploadGracePeriod }}
- name: {{ $name }}
  value: {{ include "docker-registry.text" $value | quote }}
{{- end }}
{{- end }}

{{- /* docker-registry.gc.image (root context) and its pull policy, as the first lines of a container. */}}
{{- define "docker-registry.gc.imageLines" -}}
image: {{ include "docker-registry.gc.image" . | quote }}
imagePullPolicy: {{ .Values.garbageCollect.image.pullPolicy | quote }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{- /*
docker-registry.gc.writeTest (root context): a registry is Ready on a volume that it cannot write
to, and then every push fails. Always there with the collector, not only where the preflight Job
could not mount the volume: what Helm can look up would otherwise change the pod and restart it.
*/}}
{{- define "docker-registry.gc.writeTest" -}}
- name: gc-write-test
  {{- include "docker-registry.gc.imageLines" . | nindent 2 }}
  args:
    - preflight
    - {{ include "docker-registry.configFile" . | quote }}
    - --write-test
  {{- with include "docker-registry.envFrom" . | fromYamlArray }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    {{- include "docker-registry.env" (list . (printf "%s-secret" (include "docker-registry.fullname" .))) | nindent 4 }}
  {{- with .Values.garbageCollect.sidecar.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "docker-registry.containerSecurityContext" . | fromYaml }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    {{- include "docker-registry.mounts" . | nindent 4 }}
    {{- include "docker-registry.gc.tmpMount" . | nindent 4 }}
{{- end }}

{{- /*
docker-registry.gc.sidecar (root context): an init container that keeps running is up before the
registry starts and ends after it. It has no readinessProbe: its own state must not take the
registry out of the Service.
*/}}
{{- define "docker-registry.gc.sidecar" -}}
{{- $gc := .Values.garbageCollect }}
- name: gc
  {{- include "docker-registry.gc.imageLines" . | nindent 2 }}
  restartPolicy: Always
  args:
    - sidecar
    - {{ include "docker-registry.configFile" . | quote }}
  ports:
    - containerPort: {{ include "docker-registry.gc.port" . }}
      name: gc
      protocol: TCP
  {{- with include "docker-registry.envFrom" . | fromYamlArray }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    {{- include "docker-registry.env" (list . (printf "%s-secret" (include "docker-registry.fullname" .))) | nindent 4 }}
    {{- include "docker-registry.gc.optionsEnv" . | nindent 4 }}
    - name: GC_MEMORY_START_DELAY
      value: {{ include "docker-registry.text" $gc.sidecar.memoryStartDelay | quote }}
    {{- with include "docker-registry.gc.peersHost" . }}
    - name: GC_PEERS_HOST
      value: {{ . | quote }}
    {{- end }}
    - name: GC_PERIOD
      value: {{ include "docker-registry.text" $gc.period | quote }}
    - name: GC_POD_IP
      valueFrom:
        fieldRef:
          fieldPath: status.podIP
    - name: GC_POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: GC_PORT
      value: {{ include "docker-registry.gc.port" . | quote }}
    - name: GC_START_DELAY
      value: {{ include "docker-registry.text" $gc.sidecar.startDelay | quote }}
    - name: GC_STOP_TIMEOUT
      value: {{ include "docker-registry.gc.stopTimeout" . | quote }}
    - name: GC_TOKEN_FILE
      value: {{ printf "%s/token" (include "docker-registry.gc.tokenFolder" .) | quote }}
  {{- /* Half an hour: before it answers, it ends what a killed collection left, however much that is. */}}
  startupProbe:
    httpGet:
      path: /healthz
      port: gc
    periodSeconds: 1
    failureThreshold: 1800
  livenessProbe:
    httpGet:
      path: /healthz
      port: gc
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 6
  {{- with $gc.sidecar.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "docker-registry.containerSecurityContext" . | fromYaml }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    {{- include "docker-registry.mounts" . | nindent 4 }}
    {{- include "docker-registry.gc.tmpMount" . | nindent 4 }}
    - name: gc-token
      mountPath: {{ include "docker-registry.gc.tokenFolder" . }}
      readOnly: true
{{- end }}

{{- /*
docker-registry.gc.peersHost (root context): a name for all of the release's pods, where they may
share a volume; in an emptyDir, or on a claim of its own, each has a store of its own, unless a volume of
the user's holds it.
*/}}
{{- define "docker-registry.gc.peersHost" -}}
{{- $moved := hasKey (include "docker-registry.extraValues" . | fromYaml) "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY" }}
{{- range .Values.extraVolumeMounts }}
{{- $moved = or $moved (hasPrefix "/var/lib/registry" (include "docker-registry.text" .mountPath)) }}
{{- end }}
{{- if and (eq (include "docker-registry.gc.inPod" .) "true") (or $moved (not (has (include "docker-registry.volumeKind" .) (list "emptyDir" "claimTemplate")))) }}
{{- printf "%s.%s.svc" (include "docker-registry.gc.peers.name" .) (include "docker-registry.namespace" .) }}
{{- end }}
{{- end }}

{{- /*
docker-registry.gc.stopTimeout (root context): what is left of the pod's last seconds after the registry
has waited and drained, less ten before it is killed.
*/}}
{{- define "docker-registry.gc.stopTimeout" -}}
{{- $period := include "docker-registry.terminationGracePeriod" . | int }}
{{- max 1 (sub (sub $period (include "docker-registry.stopSeconds" . | int)) 10) }}s
{{- end }}

{{- /*
docker-registry.gc.withCronJob (root context): `schedule` drives the CronJob; with `period` it is
only the button. Without a schedule there is neither, and no access to the API at all.
*/}}
{{- define "docker-registry.gc.withCronJob" -}}
{{- if and .Values.garbageCollect.enabled .Values.garbageCollect.schedule }}true{{ else }}false{{ end }}
{{- end }}

{{- /* docker-registry.gc.periodic (root context): whether the sidecar collects by itself. */}}
{{- define "docker-registry.gc.periodic" -}}
{{- not (has (include "docker-registry.text" .Values.garbageCollect.period) (list "" "0")) }}
{{- end }}

{{- /*
docker-registry.gc.readOnly (root context): true where a registry can be switched to read-only in place: by a
collector in its pod, and by a CronJob's pod that asks it to.
*/}}
{{- define "docker-registry.gc.readOnly" -}}
{{- $possible := and (eq (include "docker-registry.gc.inPod" .) "true") (eq (include "docker-registry.gc.withCronJob" .) "true") }}
{{- if and .Values.garbageCollect.readOnly $possible (not (include "docker-registry.gc.pullThrough" .)) }}true{{ else }}false{{ end }}
{{- end }}

{{- /* docker-registry.gc.pullThrough (root context): what makes it a cache of another registry, as people wrote it; or nothing. */}}
{{- define "docker-registry.gc.pullThrough" -}}
{{- if .Values.proxy.enabled }}proxy.enabled: true
{{- else if include "docker-registry.configured" (list . "proxy" "remoteurl") }}configData.proxy.remoteurl
{{- else if hasKey (include "docker-registry.extraValues" . | fromYaml) "REGISTRY_PROXY_REMOTEURL" }}extraEnvVars: REGISTRY_PROXY_REMOTEURL
{{- end }}
{{- end }}

{{- /*
docker-registry.gc.modeEnv (root context): a list, empty where nothing is switched. Of the registry's container
alone: the collector's would take itself for read-only too. The kubelet looks the key up at each start of the
container, so that a restart in place is enough; where there is no such object, there is no variable.
*/}}
{{- define "docker-registry.gc.modeEnv" -}}
{{- $name := "REGISTRY_STORAGE_MAINTENANCE_READONLY" }}
{{- if and (eq (include "docker-registry.gc.readOnly" .) "true") (not (hasKey (include "docker-registry.extraValues" . | fromYaml) $name)) }}
- name: {{ $name }}
  valueFrom:
    configMapKeyRef:
      name: {{ include "docker-registry.gc.mode.name" . | quote }}
      key: readOnly
      optional: true
{{- end }}
{{- end }}
