"""Every address of the portal: its own in `conversations.urls`, accounts and the admin beside."""

from allauth.account import views as account
from django.urls import include, path

from conversations.admin import site

handler500 = "conversations.views.portal.failed"

urlpatterns = [
    path("", include("conversations.urls")),
    # /accounts/: what we use of allauth; sign-up, mail and reset are not offered
    path("accounts/login/", account.login, name="account_login"),
    path("accounts/logout/", account.logout, name="account_logout"),
    path("accounts/inactive/", account.account_inactive, name="account_inactive"),
    path("accounts/password/change/", account.password_change, name="account_change_password"),
    path("accounts/password/set/", account.password_set, name="account_set_password"),
    # /admin/
    path("admin/", site.urls),
]
