"""Each known defect of the charts before this one, how it is put back, and the test that notices.

The numbers are those of docs/develop/defects.md, which `python tests/mutants/write_defects.py`
makes from this table; tests/chart/test_defects_put_back.py puts each back into a copy of the chart
and sees the named test fail. `old` must stand exactly once in the file.

What a collection does to a store is no matter of templates: those defects are held by tests of the
collector, whose rules tests/mutants/table.py breaks.
"""

from dataclasses import dataclass

COLLECTION = "tests/chart/test_defects_collection.py"
SECRETS = "tests/chart/test_defects_secrets.py"
WORKLOAD = "tests/chart/test_defects_workload.py"
NETWORK = "tests/chart/test_defects_network.py"
PACKAGING = "tests/chart/test_defects_packaging.py"


@dataclass(frozen=True)
class PutBack:
    """A change of one file of the chart that brings a defect back."""

    breaks: str
    file: str
    old: str
    new: str
    test: str

    @property
    def function(self) -> str:
        """Return the name of the test."""
        return self.test.rpartition("::")[2]


@dataclass(frozen=True)
class Held:
    """A test of the collector that holds a defect, and the rule whose mutants fail it."""

    test: str
    rule: str


@dataclass(frozen=True)
class Defect:
    """One defect, in one line."""

    number: str
    told: str
    put_back: tuple[PutBack, ...] = ()
    held: tuple[Held, ...] = ()


def _collection(breaks: str, file: str, old: str, new: str, test: str) -> PutBack:
    return PutBack(breaks, file, old, new, f"{COLLECTION}::{test}")


def _secrets(breaks: str, file: str, old: str, new: str, test: str) -> PutBack:
    return PutBack(breaks, file, old, new, f"{SECRETS}::{test}")


def _workload(breaks: str, file: str, old: str, new: str, test: str) -> PutBack:
    return PutBack(breaks, file, old, new, f"{WORKLOAD}::{test}")


def _network(breaks: str, file: str, old: str, new: str, test: str) -> PutBack:
    return PutBack(breaks, file, old, new, f"{NETWORK}::{test}")


def _packaging(breaks: str, file: str, old: str, new: str, test: str) -> PutBack:
    return PutBack(breaks, file, old, new, f"{PACKAGING}::{test}")


CRONJOB = "templates/gc/cronjob.yaml"
GC = "templates/gc/_gc.tpl"
NAMES = "templates/_names.tpl"
POD = "templates/registry/_podtemplate.tpl"
WORKLOADS = "templates/registry/_workload.tpl"
TLS = "templates/_tls.tpl"
SECRET = "templates/_secret.tpl"
STORAGE = "templates/_storage.tpl"
ENV = "templates/_env.tpl"
SERVICE = "templates/exposure/service.yaml"
EXPOSURE = "templates/exposure/_exposure.tpl"
MONITORING = "templates/monitoring/_monitoring.tpl"

DEFECTS = (
    Defect(
        "G1",
        "what a registry remembers of deleted blobs makes the next push of them a silent loss",
        (
            _collection(
                "descriptors are cached in memory unless the user says otherwise",
                "templates/_config.tpl",
                "{{- $config := deepCopy .Values.configData }}",
                '{{- $config := merge (deepCopy .Values.configData) (dict "storage" (dict "cache" (dict '
                '"blobdescriptor" "inmemory"))) }}',
                "test_g1_no_default_caches_descriptors_in_memory",
            ),
        ),
        (
            Held("tests/registry/test_end_to_end.py::test_what_was_deleted_is_gone_and_can_be_pushed_again", "rule 1"),
            Held("tests/registry/test_orders.py::test_the_registry_restarts_although_no_link_was_unlinked", "rule 1"),
        ),
    ),
    Defect(
        "G2",
        "a push during a collection is lost or broken, and the read-only switch panics registry 2.8",
        (
            _collection(
                "the registry is made read-only by the form that panics 2.8",
                ENV,
                '{{- if $root.Values.persistence.deleteEnabled }}',
                "- {name: REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED, value: \"true\"}\n"
                '{{- if $root.Values.persistence.deleteEnabled }}',
                "test_g2_collections_need_no_pause_and_nothing_makes_the_registry_read_only",
            ),
        ),
        (Held("tests/registry/test_stress.py::test_rule_1_nothing_acknowledged_is_lost_beside_collections", "rule 1"),),
    ),
    Defect(
        "G3",
        "a collector in a pod of its own waits for a volume that another node has",
        (
            _collection(
                "the CronJob's pod mounts the registry's claim",
                CRONJOB,
                "            - name: gc-tmp\n              emptyDir: {}\n",
                "            - name: gc-tmp\n              emptyDir: {}\n"
                "            - name: data\n              persistentVolumeClaim:\n"
                '                claimName: {{ include "docker-registry.claim.name" . | quote }}\n',
                "test_g3_no_second_pod_waits_for_the_volume",
            ),
        ),
    ),
    Defect(
        "G4",
        "without a volume the collector sees an empty folder of its own",
        (
            _collection(
                "the collector's data is another folder",
                GC,
                "  volumeMounts:\n    {{- include \"docker-registry.mounts\" . | nindent 4 }}\n"
                "    {{- include \"docker-registry.gc.tmpMount\" . | nindent 4 }}\n    - name: gc-token",
                "  volumeMounts:\n    {{- include \"docker-registry.mounts\" . | replace \"name: data\" "
                "\"name: gc-data\" | nindent 4 }}\n"
                "    {{- include \"docker-registry.gc.tmpMount\" . | nindent 4 }}\n    - name: gc-token",
                "test_g4_without_a_volume_the_collector_sees_the_registrys_own_folder",
            ),
        ),
    ),
    Defect(
        "G5",
        "on an empty registry the collection fails",
        (),
        (Held("tests/registry/test_edges.py::test_rule_7_an_empty_store_is_collected_in_peace", "rule 7"),),
    ),
    Defect(
        "G6",
        "the CronJob starts a second run beside the first, never ends, and can be told nothing",
        (
            _collection(
                "two runs at a time",
                CRONJOB,
                "  concurrencyPolicy: Forbid\n",
                "",
                "test_g6_one_collection_at_a_time_and_each_ends",
            ),
            _collection(
                "a run without an end",
                CRONJOB,
                "      activeDeadlineSeconds: {{ ",
                "      # {{ ",
                "test_g6_one_collection_at_a_time_and_each_ends",
            ),
            _collection(
                "0 is taken for no answer",
                CRONJOB,
                "  successfulJobsHistoryLimit: {{ $gc.hook.successfulJobsHistoryLimit | int }}",
                "  successfulJobsHistoryLimit: {{ $gc.hook.successfulJobsHistoryLimit | default 3 | int }}",
                "test_g6_what_a_cron_job_can_be_told_is_told",
            ),
            _collection(
                "it runs where the registry does",
                CRONJOB,
                "$gc.hook.nodeSelector | default .Values.nodeSelector",
                ".Values.nodeSelector",
                "test_g6_what_a_cron_job_can_be_told_is_told",
            ),
        ),
    ),
    Defect(
        "G7",
        "the CronJob's name has more than 52 characters",
        (
            _collection(
                "the name is not cut",
                NAMES,
                '(list (include "docker-registry.fullname" .) 34) }}-garbage-collector',
                '(list (include "docker-registry.fullname" .) 99) }}-garbage-collector',
                "test_g7_the_cron_jobs_name_fits",
            ),
        ),
    ),
    Defect(
        "G8",
        "checksums stand where they do nothing, and the collector's pods have no labels",
        (
            _collection(
                "the checksum of the configuration is of the name",
                WORKLOADS,
                'include "docker-registry.effectiveConfig" . | sha256sum',
                'include "docker-registry.fullname" . | sha256sum',
                "test_g8_what_changed_restarts_the_pod_that_reads_it",
            ),
            _collection(
                "the hook's pods have the Job's labels alone",
                CRONJOB,
                '{{- include "docker-registry.podLabels" (list . "gc-hook" $gc.podLabels) | nindent 12 }}',
                "release: {{ .Release.Name | quote }}",
                "test_g8_the_hooks_pods_can_be_told_from_the_registrys",
            ),
        ),
    ),
    Defect(
        "G9",
        "registry 2.8's own collection deletes the children of indexes",
        (
            _collection(
                "the registry's own collection runs",
                CRONJOB,
                "                - hook\n",
                "                - garbage-collect\n                - --delete-untagged\n",
                "test_g9_no_registrys_own_collection_runs",
            ),
        ),
        (Held("tests/registry/test_contents.py::test_rule_2_children_of_nested_indexes_stay", "rule 2"),),
    ),
    Defect(
        "G10",
        "the collection of a pull-through cache aborts where a layer was never fetched",
        (
            _collection(
                "the collector does not know that it is a cache",
                ENV,
                '{{- include "docker-registry.proxyEnv" $root }}\n',
                "",
                "test_g10_a_cache_of_another_registry_is_collected_as_any_other",
            ),
        ),
        (
            Held(
                "tests/unit/test_rules.py"
                "::test_rule_14_a_pull_through_cache_keeps_its_schedule_and_may_lack_children",
                "rule 14",
            ),
        ),
    ),
    Defect(
        "S1",
        "a random secret at each render restarts all pods at each upgrade",
        (
            _secrets(
                "the checksum is of what was generated",
                WORKLOADS,
                '{{- $secret := printf "%s%s" (include "docker-registry.sharedSecret" .)',
                '{{- $secret := printf "%s%s" (randAlphaNum 16)',
                "test_s1_a_generated_secret_restarts_nothing",
            ),
            _secrets(
                "what the cluster has does not count",
                SECRET,
                "{{- coalesce .given $kept (randAlphaNum 32) }}",
                "{{- coalesce .given (randAlphaNum 32) }}",
                "test_s1_a_generated_secret_is_kept",
            ),
        ),
    ),
    Defect(
        "S2",
        "a store without keys in the values does not render",
        (
            _secrets(
                "keys are asked for",
                SECRET,
                "{{- else if .given }}",
                "{{- else }}",
                "test_s2_a_store_needs_no_keys",
            ),
        ),
    ),
    Defect(
        "S3",
        "`secure: false` and `encrypt: false` are dropped",
        (
            _secrets(
                "what is not true is left out",
                "templates/_values.tpl",
                '{{- if or (kindIs "bool" $value) (kindIs "float64" $value)',
                '{{- if or (kindIs "float64" $value)',
                "test_s3_false_is_an_answer",
            ),
        ),
    ),
    Defect(
        "S4",
        "a number as a bucket's or a region's name is an invalid manifest",
        (
            _secrets(
                "texts are written as they are",
                STORAGE,
                '{{- $env = append $env (dict "name" $name "value" (include "docker-registry.scalar" $value)) }}',
                '{{- $env = append $env (dict "name" $name "value" $value) }}',
                "test_s4_what_looks_like_a_number_stays_a_text",
            ),
        ),
    ),
    Defect(
        "S5",
        "most credentials cannot be in a Secret that exists",
        (
            _secrets(
                "a key that the user names is not asked for",
                SECRET,
                '(get ($from.secretKeys | default dict) . | default $key)',
                "$key",
                "test_s5_every_credential_may_be_in_a_secret_that_exists",
            ),
            _secrets(
                "existingSecret does not count",
                SECRET,
                '{{- $ref = dict "name" $existing "key" $key }}',
                "",
                "test_s5_every_credential_may_be_in_a_secret_that_exists",
            ),
        ),
    ),
    Defect(
        "S6",
        "a proxy without an account logs in with an empty one",
        (
            _secrets(
                "user and password are always set",
                SECRET,
                '"own" "proxy" "from" .Values.proxy "fields" (list "username" "password") "together" true',
                '"own" "proxy" "from" .Values.proxy "fields" (list "username" "password")',
                "test_s6_no_user_is_said_where_there_is_none",
            ),
        ),
    ),
    Defect(
        "S7",
        "a variable of the user's stands beside the chart's of that name",
        (
            _secrets(
                "both are written",
                ENV,
                "{{- if eq $index (get $last $each.name) }}",
                "{{- if true }}",
                "test_s7_a_variable_of_the_user_replaces_the_charts",
            ),
        ),
    ),
    Defect(
        "S8",
        "what is secret in the configuration is in a ConfigMap",
        (
            _secrets(
                "the ConfigMap has the whole configuration",
                "templates/registry/configmap.yaml",
                '{{- include "docker-registry.config" . | nindent 4 }}',
                '{{- include "docker-registry.effectiveConfig" . | nindent 4 }}',
                "test_s8_what_is_secret_in_the_configuration_is_in_no_config_map",
            ),
        ),
    ),
    Defect(
        "W1",
        "two pods wait for each other and for a volume that one node alone can have",
        (
            _workload(
                "no strategy",
                WORKLOADS,
                '{{- else if and (include "docker-registry.oneNode" .)',
                "{{- else if and false",
                "test_w1_the_old_pod_leaves_the_volume_first",
            ),
            _workload(
                "Recreate beside a rollingUpdate",
                WORKLOADS,
                "rollingUpdate: null\n",
                "",
                "test_w1_recreate_takes_away_what_the_cluster_filled_in",
            ),
        ),
    ),
    Defect(
        "W2",
        "replicas are set under an autoscaler",
        (
            _workload(
                "in a Deployment",
                "templates/registry/deployment.yaml",
                "{{- if not .Values.autoscaling.enabled }}",
                "{{- if true }}",
                "test_w2_an_autoscaler_has_the_number_of_replicas_to_itself",
            ),
            _workload(
                "in a StatefulSet",
                "templates/registry/statefulset.yaml",
                "{{- if not .Values.autoscaling.enabled }}",
                "{{- if true }}",
                "test_w2_an_autoscaler_has_the_number_of_replicas_to_itself",
            ),
        ),
    ),
    Defect(
        "W3",
        "replicas in an emptyDir or on a volume of one node have images of their own, unsaid",
        (
            _workload(
                "nothing is said",
                "templates/notes/_risks.tpl",
                "- Several replicas do not share this volume",
                "- Replicas share this volume",
                "test_w3_replicas_that_would_not_share_their_images_are_named",
            ),
        ),
    ),
    Defect(
        "W4",
        "probes are fixed, ask at port 5000 and have no start",
        (
            _workload(
                "port 5000",
                TLS,
                '$port := include "docker-registry.port" . | int',
                "$port := 5000",
                "test_w4_probes_ask_where_the_registry_listens",
            ),
            _workload(
                "no probe of the user's",
                WORKLOADS,
                "{{- $given := index $.Values $name | default dict }}",
                "{{- $given := dict }}",
                "test_w4_each_probe_has_its_timings_and_can_be_another",
            ),
        ),
    ),
    Defect(
        "W5",
        "pushes are cut off whenever a pod is replaced",
        (
            _workload(
                "no drain where the configuration has none",
                ENV,
                '- {name: REGISTRY_HTTP_DRAINTIMEOUT, value: "10s"}\n',
                "",
                "test_w5_a_push_is_finished_before_the_pod_ends",
            ),
            _workload(
                "thirty seconds whatever the drain",
                POD,
                'terminationGracePeriodSeconds: {{ include "docker-registry.terminationGracePeriod" . }}',
                "terminationGracePeriodSeconds: 30",
                "test_w5_a_push_is_finished_before_the_pod_ends",
            ),
        ),
    ),
    Defect(
        "W6",
        "a volume is walked and its owner changed at each start",
        (
            _workload(
                "Always",
                "values.yaml",
                "  fsGroupChangePolicy: OnRootMismatch\n",
                "  fsGroupChangePolicy: Always\n",
                "test_w6_a_large_volume_is_not_walked_at_each_start",
            ),
        ),
    ),
    Defect(
        "W7",
        "a Service called registry becomes a part of the registry's configuration",
        (
            _workload(
                "service links in the registry's pod",
                POD,
                "  enableServiceLinks: {{ .Values.enableServiceLinks }}\n",
                "  enableServiceLinks: true\n",
                "test_w7_no_service_becomes_a_part_of_the_configuration",
            ),
        ),
    ),
    Defect(
        "W8",
        "registry 3 sends traces to nobody and logs each refusal",
        (
            _workload(
                "nothing is said about traces",
                ENV,
                '- {name: OTEL_TRACES_EXPORTER, value: "none"}\n',
                "",
                "test_w8_no_traces_go_to_nobody",
            ),
        ),
    ),
    Defect(
        "W9",
        "pods have a token of the cluster's API, and a volume's name is too long",
        (
            _workload(
                "the token is mounted",
                POD,
                "  automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}\n",
                "",
                "test_w9_no_pod_has_a_token_that_it_does_not_need",
            ),
            _workload(
                "the volume's name is not cut",
                NAMES,
                '{{- include "docker-registry.fullname" . | trunc 56 | trimSuffix "-" }}-config',
                '{{- include "docker-registry.fullname" . }}-config',
                "test_w9_names_of_volumes_fit",
            ),
        ),
    ),
    Defect(
        "W10",
        "a renewed certificate is not read until the registry happens to start again",
        (
            _workload(
                "no checksum of it",
                WORKLOADS,
                '{{- $_ := set $annotations "checksum/tls"',
                '{{- $_ := set dict "checksum/tls"',
                "test_w10_a_new_certificate_restarts_the_registry",
            ),
        ),
    ),
    Defect(
        "N1",
        "several networks become one text",
        (
            _network(
                "as at twuni",
                SERVICE,
                "  loadBalancerSourceRanges:\n    {{- toYaml . | nindent 4 }}\n",
                "  loadBalancerSourceRanges:\n    - {{ . | quote }}\n",
                "test_n1_each_network_is_one_of_its_own",
            ),
        ),
    ),
    Defect(
        "N2",
        "some objects do not follow `namespace`",
        (
            _network(
                "the autoscaler",
                "templates/registry/hpa.yaml",
                '  namespace: {{ include "docker-registry.namespace" $ | quote }}\n',
                "",
                "test_n2_every_object_follows_the_namespace",
            ),
            _network(
                "what watches",
                MONITORING,
                '$section.namespace | default (include "docker-registry.namespace" $root)',
                "$section.namespace | default $root.Release.Namespace",
                "test_n2_every_object_follows_the_namespace",
            ),
        ),
    ),
    Defect(
        "N3",
        "an Ingress has one class, one path and no type, whatever is asked for",
        (
            _network(
                "the class beside the old annotation",
                EXPOSURE,
                '{{- if not (hasKey (.Values.ingress.annotations | default dict) "kubernetes.io/ingress.class") }}',
                "{{- if true }}",
                "test_n3_the_class_is_said_once",
            ),
            _network(
                "one type of path for all",
                EXPOSURE,
                '"pathType" ($given.pathType | default $ingress.pathType)',
                '"pathType" $ingress.pathType',
                "test_n3_hosts_have_paths_and_types_of_their_own",
            ),
            _network(
                "annotations without any",
                "templates/exposure/ingress.yaml",
                "spec:\n",
                "  {{- if not .Values.ingress.annotations }}\n  annotations:\n  {{- end }}\nspec:\n",
                "test_n3_no_annotations_are_no_key",
            ),
        ),
    ),
    Defect(
        "N4",
        "metrics are two switches, and the profiler is on the load balancer",
        (
            _network(
                "the port alone",
                ENV,
                '- {name: REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED, value: "true"}\n',
                "",
                "test_n4_metrics_are_one_switch",
            ),
            _network(
                "on the registry's Service",
                SERVICE,
                "  selector:\n",
                "    {{- if $.Values.metrics.enabled }}\n    - {port: 5001, name: http-metrics}\n"
                "    {{- end }}\n  selector:\n",
                "test_n4_the_profiler_is_not_on_the_registrys_service",
            ),
            _network(
                "the port after the first colon",
                "templates/_config.tpl",
                '{{- regexFind "[0-9]+$" $address | default (include "docker-registry.text" .Values.metrics.port) }}',
                '{{- index (splitList ":" (printf "%s:" $address)) 1 | default (include '
                '"docker-registry.text" .Values.metrics.port) }}',
                "test_n4_any_form_of_address_has_its_port",
            ),
        ),
    ),
    Defect(
        "N5",
        "a PrometheusRule without rules is refused, and a ServiceMonitor can be told nothing",
        (
            _network(
                "an object without rules",
                "templates/monitoring/prometheusrule.yaml",
                '"prometheusRule")) "true") $rules }}',
                '"prometheusRule")) "true") true }}',
                "test_n5_no_rules_are_no_object",
            ),
            _network(
                "every fifteen seconds",
                MONITORING,
                "interval: {{ . | quote }}",
                "interval: 15s",
                "test_n5_a_monitor_is_told_how_often_and_what",
            ),
        ),
    ),
    Defect(
        "N6",
        "`service.name` does nothing at one chart and renames at another, and the notes are wrong",
        (
            _network(
                "it renames",
                NAMES,
                '{{- define "docker-registry.service.name" -}}\n',
                '{{- define "docker-registry.service.name" -}}\n{{- .Values.service.name }}\n{{- end }}\n'
                '{{- define "docker-registry.service.name.unused" -}}\n',
                "test_n6_the_service_is_called_as_it_always_was",
            ),
            _network(
                "http, whatever the registry speaks",
                EXPOSURE,
                '{{- ternary "https" "http" (not (empty (or (include "docker-registry.tlsSecret" .) '
                '(include "docker-registry.tests.ownTls" .)))) }}',
                "http",
                "test_n6_the_notes_name_the_port_and_the_scheme",
            ),
        ),
    ),
    Defect(
        "N7",
        "a layer above 1 MiB ends in 413 behind ingress-nginx",
        (
            _network(
                "no annotation",
                EXPOSURE,
                '{{- with include "docker-registry.text" .Values.ingress.proxyBodySize }}',
                '{{- with "" }}',
                "test_n7_layers_of_any_size_pass_the_ingress",
            ),
        ),
    ),
    Defect(
        "P1",
        "the chart says neither which Helm nor which Kubernetes it needs",
        (
            _packaging(
                "no kubeVersion",
                "Chart.yaml",
                'kubeVersion: ">=1.29.0-0"\n',
                "",
                "test_p1_the_chart_says_which_helm_and_which_kubernetes_it_needs",
            ),
        ),
    ),
    Defect(
        "P2",
        "there is no schema, or one that refuses what was always allowed",
        (
            _packaging(
                "a closed root",
                "values.schema.json",
                '"type": "object",\n',
                '"type": "object",\n"additionalProperties": false,\n',
                "test_p2_a_mistyped_kind_is_said_by_its_path",
            ),
        ),
    ),
    Defect(
        "P3",
        "the documentation is of another version",
        (
            _packaging(
                "another registry than the chart's appVersion",
                "Chart.yaml",
                'appVersion: "3.1.1"',
                'appVersion: "2.8.1"',
                "test_p3_the_documentation_names_the_version_that_is_installed",
            ),
        ),
    ),
    Defect(
        "P4",
        "objects have none of the labels that tools look for",
        (
            _packaging(
                "no app.kubernetes.io/instance",
                "templates/_labels.tpl",
                "app.kubernetes.io/instance: {{ $root.Release.Name | quote }}\n",
                "",
                "test_p4_the_labels_that_tools_look_for_are_there_beside_the_old",
            ),
        ),
    ),
    Defect(
        "P5",
        "icon and home are at a private domain that may lapse",
        (
            _packaging(
                "an icon from there",
                "Chart.yaml",
                "type: application\n",
                "type: application\nicon: https://helm.twun.io/icon.png\n",
                "test_p5_no_address_of_another_project_is_in_the_chart",
            ),
        ),
    ),
)  # fmt: skip
