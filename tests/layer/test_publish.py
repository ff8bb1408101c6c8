"""The calls of `make publish` to AWS, recorded by a fake `aws` command.

The fake records every command line and prints the output of the AWS CLI for the
caller's partition; no AWS account is needed.
"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

PUBLISH = Path(__file__).resolve().parents[2] / "layer" / "publish"

AWS = r"""#!/bin/sh
printf '%s\n' "$*" >>"$RECORD"
region=$(printf '%s' "$*" | sed -n 's/.*--region \([^ ]*\).*/\1/p')
name=$(printf '%s' "$*" | sed -n 's/.*--layer-name \([^ ]*\).*/\1/p')
case "$1 $2" in
    'sts get-caller-identity') echo "arn:$PARTITION:iam::123456789012:user/release" ;;
    'ec2 describe-regions') echo "$ENABLED" ;;
    'lambda publish-layer-version')
        if [ "$region" = "$BROKEN" ]; then echo 'AccessDeniedException' >&2; exit 254; fi
        echo "arn:$PARTITION:lambda:$region:123456789012:layer:$name:7" ;;
    'lambda add-layer-version-permission') echo '{"Statement": "..."}' ;;
    *) exit 2 ;;
esac
"""


class Publish(unittest.TestCase):
    def publish(self, *regions, partition="aws", enabled="", broken="none", **settings):
        """Run the script; return its exit status, the printed ARNs, and the calls of `aws`."""
        with tempfile.TemporaryDirectory() as folder:
            aws, record = Path(folder, "aws"), Path(folder, "record")
            aws.write_text(AWS)
            aws.chmod(0o755)
            environment = {
                "PATH": f"{folder}:{os.defpath}",
                "RECORD": str(record),
                "PARTITION": partition,
                "ENABLED": enabled,
                "BROKEN": broken,
            }
            environment |= settings
            ended = subprocess.run(
                [PUBLISH, *regions], env=environment, capture_output=True, text=True
            )
            self.stderr = ended.stderr
            return ended.returncode, ended.stdout.split(), record.read_text().splitlines()

    def test_both_architectures_go_to_each_named_region_and_the_arns_are_printed(self):
        status, arns, calls = self.publish("eu-west-1", "ap-south-2")
        self.assertEqual(status, 0, self.stderr)
        self.assertEqual(
            arns,
            [
                f"arn:aws:lambda:{region}:123456789012:layer:LambdaAdapterLayer{arch}:7"
                for region in ("eu-west-1", "ap-south-2")
                for arch in ("X86", "Arm64")
            ],
        )
        published = [line for line in calls if "publish-layer-version" in line]
        self.assertEqual(len(published), 4)
        for call, arch in zip(published, ("x86_64", "arm64")):
            package = f"fileb://dist/lambda-adapter-layer-{arch}.zip"
            self.assertIn(f"--compatible-architectures {arch} --zip-file {package}", call)

    def test_without_regions_the_callers_own_partition_is_asked(self):
        homes = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
        for partition, home in homes.items():
            with self.subTest(partition):
                status, arns, calls = self.publish(partition=partition, enabled=f"{home}\tother-1")
                self.assertEqual(status, 0, self.stderr)
                query = "ec2 describe-regions --region " + home
                self.assertTrue(any(query in line for line in calls))
                found = [arn.split(":")[3] for arn in arns]
                self.assertEqual(found, [home, home, "other-1", "other-1"])
                self.assertTrue(all(arn.startswith(f"arn:{partition}:") for arn in arns))

    def test_nobody_else_may_use_a_layer_unless_a_principal_is_named(self):
        _, _, calls = self.publish("eu-west-1")
        self.assertFalse(any("permission" in line for line in calls))

        _, _, calls = self.publish("eu-west-1", PRINCIPAL="*")
        granted = [line for line in calls if "add-layer-version-permission" in line]
        self.assertEqual(len(granted), 2)
        access = "--statement-id use --action lambda:GetLayerVersion --principal *"
        self.assertIn("--version-number 7 " + access, granted[0])
        self.assertNotIn("--organization-id", granted[0])

        _, _, calls = self.publish("eu-west-1", PRINCIPAL="*", ORGANIZATION="o-a1b2c3")
        grant = "--principal * --organization-id o-a1b2c3"
        self.assertTrue(any(line.endswith(grant) for line in calls))

    def test_a_region_that_fails_is_named_and_the_others_are_published(self):
        status, arns, _ = self.publish("eu-west-1", "us-west-2", broken="eu-west-1")
        self.assertEqual(status, 1)
        self.assertEqual([arn.split(":")[3] for arn in arns], ["us-west-2", "us-west-2"])
        self.assertIn("failed to publish to: eu-west-1/x86_64 eu-west-1/arm64", self.stderr)


if __name__ == "__main__":
    unittest.main()
