"""What `make publish` asks of AWS, seen by a stand-in for the `aws` command.

The stand-in writes down every command line and answers as the AWS CLI does for the
partition the caller is in; no AWS account takes part.
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
        [ "$region" != "$BROKEN" ] || { echo 'An error occurred (AccessDeniedException)' >&2; exit 254; }
        echo "arn:$PARTITION:lambda:$region:123456789012:layer:$name:7" ;;
    'lambda add-layer-version-permission') echo '{"Statement": "..."}' ;;
    *) exit 2 ;;
esac
"""


class Publish(unittest.TestCase):
    def publish(self, *regions, partition="aws", enabled="", broken="none", **settings):
        """Run the script; give its exit status, the ARNs it printed, and what `aws` was asked."""
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
            ended = subprocess.run([PUBLISH, *regions], env=environment | settings, capture_output=True, text=True)
            self.stderr = ended.stderr
            return ended.returncode, ended.stdout.split(), record.read_text().splitlines()

    def test_both_architectures_go_to_each_named_region_and_the_arns_are_printed(self):
        status, arns, asked = self.publish("eu-west-1", "ap-south-2")
        self.assertEqual(status, 0, self.stderr)
        self.assertEqual(
            arns,
            [
                f"arn:aws:lambda:{region}:123456789012:layer:LambdaAdapterLayer{arch}:7"
                for region in ("eu-west-1", "ap-south-2")
                for arch in ("X86", "Arm64")
            ],
        )
        published = [line for line in asked if "publish-layer-version" in line]
        self.assertEqual(len(published), 4)
        self.assertIn("--compatible-architectures x86_64 --zip-file fileb://dist/lambda-adapter-layer-x86_64.zip", published[0])
        self.assertIn("--compatible-architectures arm64 --zip-file fileb://dist/lambda-adapter-layer-arm64.zip", published[1])

    def test_without_regions_the_callers_own_partition_is_asked(self):
        homes = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
        for partition, home in homes.items():
            with self.subTest(partition):
                status, arns, asked = self.publish(partition=partition, enabled=f"{home}\tother-1")
                self.assertEqual(status, 0, self.stderr)
                self.assertTrue(any("ec2 describe-regions --region " + home in line for line in asked))
                self.assertEqual([arn.split(":")[3] for arn in arns], [home, home, "other-1", "other-1"])
                self.assertTrue(all(arn.startswith(f"arn:{partition}:") for arn in arns))

    def test_nobody_else_may_use_a_layer_unless_a_principal_is_named(self):
        _, _, asked = self.publish("eu-west-1")
        self.assertFalse(any("permission" in line for line in asked))

        _, _, asked = self.publish("eu-west-1", PRINCIPAL="*")
        granted = [line for line in asked if "add-layer-version-permission" in line]
        self.assertEqual(len(granted), 2)
        self.assertIn("--version-number 7 --statement-id use --action lambda:GetLayerVersion --principal *", granted[0])
        self.assertNotIn("--organization-id", granted[0])

        _, _, asked = self.publish("eu-west-1", PRINCIPAL="*", ORGANIZATION="o-a1b2c3")
        self.assertTrue(any(line.endswith("--principal * --organization-id o-a1b2c3") for line in asked))

    def test_a_region_that_fails_is_named_and_the_others_are_published(self):
        status, arns, _ = self.publish("eu-west-1", "us-west-2", broken="eu-west-1")
        self.assertEqual(status, 1)
        self.assertEqual([arn.split(":")[3] for arn in arns], ["us-west-2", "us-west-2"])
        self.assertIn("failed to publish to: eu-west-1/x86_64 eu-west-1/arm64", self.stderr)


if __name__ == "__main__":
    unittest.main()
