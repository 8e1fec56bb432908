/* Where a bucket is, as rows of a configuration table: S3_CONFIG(CONFIG_ROW). */
#pragma once

#include "aws/s3.h"
#include "run/config.h"

#define S3_CONFIG(KEY)                                                                             \
    KEY("endpoint", STRING, "", 0, 0, "http(s)://…, in the place of AWS's S3")                     \
    KEY("path_style", BOOL, "false", 0, 0, "the bucket in the path, not in the host's name")       \
    KEY("aws.region", STRING, "", 0, 0,                                                            \
        "of the bucket; empty = AWS_REGION, AWS_DEFAULT_REGION, profile")                          \
    KEY("fips", BOOL, "false", 0, 0, "AWS's FIPS endpoint")                                        \
    KEY("dual_stack", BOOL, "false", 0, 0, "AWS's dual-stack endpoint")                            \
    KEY("ca_file", STRING, "", 0, 0, "certificates of authorities, PEM; empty = the system's")
