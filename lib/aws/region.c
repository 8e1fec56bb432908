#include "aws/region.h"

#include <string.h>

bool region_check(const char *region, struct err *e)
{
    size_t n = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || n > REGION_MAX_CHARS || region[n] != '\0') {
        return err_set(e, ERR_CONFIG, "\"%.*s\" is not the name of an AWS region", REGION_MAX_CHARS,
                       region);
    }
    return true;
}

const char *region_domain(const char *region)
{
    return strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
}
